"""A refresh family against a model, over the whole road: any order of uses, repeats, replays and waits."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from harness import deployment
from integration.renewal import Caller, demo_caller
from keyturn.core.forms import Form

GRACE_SECONDS = 10


class RefreshFamilyMachine(RuleBasedStateMachine):
    """The model: tokens in the order they were made, when the newest was made, and whether all is over."""

    def __init__(self) -> None:
        """Open a deployment on a loop of its own."""
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.here = self.loop.run_until_complete(self.stack.enter_async_context(deployment()))
        self.caller: Caller = demo_caller(self.here)

    @initialize()
    def begin(self) -> None:
        """Begin a family."""
        first = self.loop.run_until_complete(self.caller.begin())
        self.tokens = [first["refresh_token"]]
        self.access = [first["access_token"]]
        self.rotated_at = self.here.clock.now() - timedelta(days=1)
        self.ended = False

    @rule(age=st.integers(0, 4))
    def present(self, age: int) -> None:
        """Present a token; 0 is the newest."""
        age = min(age, len(self.tokens) - 1)
        answer = self.loop.run_until_complete(self.caller.renew(self.tokens[-1 - age]))
        in_grace = self.here.clock.now() < self.rotated_at + timedelta(seconds=GRACE_SECONDS)
        if self.ended or age > 1 or (age == 1 and not in_grace):
            assert (answer.status, answer.json) == (400, {"error": "invalid_grant"})
            self.ended = True
            return
        assert answer.status == 200
        self.access.append(answer.json["access_token"])
        if age == 1:
            assert answer.json["refresh_token"] == self.tokens[-1]
        else:
            assert answer.json["refresh_token"] not in self.tokens
            self.tokens.append(answer.json["refresh_token"])
            self.rotated_at = self.here.clock.now()

    @rule(seconds=st.sampled_from([1, 9, 10, 11]))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.here.clock.advance(seconds)

    @rule(form=st.sampled_from(Form))
    def write(self, form: Form) -> None:
        """Write another form from now on (RE-04)."""
        self.here.local.forms.written = form

    @precondition(lambda self: not self.ended)
    @rule()
    def revoke(self) -> None:
        """Give the newest token back."""
        answer = self.loop.run_until_complete(self.caller.post("revoke", token=self.tokens[-1]))
        assert answer.status == 200
        self.ended = True

    @invariant()
    def access_tokens_live_with_their_family(self) -> None:
        """The newest access token is as alive as the family it came from."""
        if hasattr(self, "access"):
            alive = self.loop.run_until_complete(self.caller.is_active(self.access[-1]))
            assert alive == (not self.ended)  # a run waits for less than an access token's lifetime

    def teardown(self) -> None:
        """Close the deployment."""
        self.loop.run_until_complete(self.stack.aclose())
        self.loop.close()


RefreshFamilyMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25)
TestRefreshFamily = RefreshFamilyMachine.TestCase
