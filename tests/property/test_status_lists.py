"""A status list through any order of issues, revocations and ends: its bits are what introspection says."""

import asyncio
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from harness import deployment
from integration.renewal import another_caller
from integration.status_reading import claims_of, statuses
from integration.test_endings import Operator
from keyturn.core.errors import OperatorError

ENDS = st.tuples(
    st.sampled_from(["secret", "client"]), st.sampled_from(["disable", "enable", "disable", "end"])
)


class Lists(RuleBasedStateMachine):
    """Two clients that get, renew and give back tokens, an operator, and time that passes."""

    def __init__(self):
        """Begin with nothing issued."""
        super().__init__()
        self.loop = asyncio.Runner()
        self.opening = deployment(status_lists=True)
        self.here = self.loop.run(self.opening.__aenter__())
        self.here.desk._services.places.list_size = 16
        self.clients = [self.loop.run(another_caller(self.here)) for _ in range(2)]
        self.asker = self.loop.run(another_caller(self.here))
        self.tokens = []

    def teardown(self):
        """Let go of the deployment."""
        self.loop.run(self.opening.__aexit__(None, None, None))
        self.loop.close()

    def keep(self, answer):
        """Remember what was issued, if anything was."""
        if answer.status == 200:
            self.tokens.append(answer.json)

    @rule(
        who=st.integers(0, 1), many=st.integers(1, 6), scope=st.sampled_from(["read", "read offline_access"])
    )
    def issue(self, who, many, scope):
        """Ask for tokens."""
        for _ in range(many):
            asked = self.clients[who].post("token", grant_type="client_credentials", scope=scope)
            self.keep(self.loop.run(asked))

    @rule(which=st.integers(0, 99))
    @precondition(lambda self: self.tokens)
    def renew(self, which):
        """Present a refresh token, perhaps a used one, which ends its family."""
        refresh = self.tokens[which % len(self.tokens)].get("refresh_token")
        for client in self.clients if refresh else ():
            self.keep(self.loop.run(client.renew(refresh)))

    @rule(which=st.integers(0, 99), what=st.sampled_from(["access_token", "refresh_token"]))
    @precondition(lambda self: self.tokens)
    def revoke(self, which, what):
        """Give a token back; another client's attempt does nothing."""
        token = self.tokens[which % len(self.tokens)].get(what)
        for client in self.clients if token else ():
            self.loop.run(client.post("revoke", token=token))

    @rule(who=st.integers(0, 1), what=ENDS)
    def switch(self, who, what):
        """Disable, enable or end a secret or a client."""
        try:
            self.loop.run(Operator(self.here, self.clients[who]).switch(*what))
        except OperatorError:
            return

    @rule(seconds=st.integers(1, 300))
    def wait(self, seconds):
        """Let time pass."""
        self.here.clock.advance(seconds)

    @invariant()
    def bits_are_what_introspection_says(self):
        """RV-01 to RV-04: a token that has not expired is 1 exactly if it is not active."""
        now = self.here.clock.now() + timedelta(seconds=1)  # reading takes one
        texts = [token["access_token"] for token in self.tokens]
        texts = [text for text in texts if claims_of(text)["exp"] > now.timestamp()]
        bits = self.loop.run(statuses(self.here, *texts))
        active = [self.loop.run(self.asker.is_active(text)) for text in texts]
        assert bits == [int(not each) for each in active]


TestLists = Lists.TestCase
TestLists.settings = settings(max_examples=12, stateful_step_count=12, deadline=None)
