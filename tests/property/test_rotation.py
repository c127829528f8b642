"""A client's secrets through any order of an operator's verbs: never three live, never an end undone."""

import asyncio
from datetime import timedelta
from functools import partial

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from keyturn.core.errors import OperatorError
from keyturn.core.life import Standing
from keyturn.core.vocabulary import CredentialKind
from keyturn.directory.credentials import disable_credential, enable_credential, end_credential
from keyturn.directory.rotation import cancel_rotation, finish_rotation, rotate_client_secret
from unit.directory.conftest import NOW, OPERATOR, Deployment

MINUTES = st.integers(0, 90).map(lambda minutes: timedelta(minutes=minutes))


class Secrets(RuleBasedStateMachine):
    """One client's secrets, an operator, and time that passes; the model is only what has ended."""

    def __init__(self):
        """Begin with a client that has one secret."""
        super().__init__()
        self.loop = asyncio.Runner()
        self.here = Deployment()
        self.now = NOW
        self.over = {}
        _, self.inside = self.loop.run(self.here.organisation())
        self.client = self.loop.run(self.here.client(self.inside))
        self.create()

    def teardown(self):
        """Let go of the loop."""
        self.loop.close()

    def attempt(self, verb, *arguments, **named):
        """Call a verb now; a no changes nothing."""
        at = {"now": self.now, "dice": self.here.at["dice"]}
        try:
            self.loop.run(verb(OPERATOR, self.inside, *arguments, **at, **named))
        except OperatorError:
            return

    def kept(self):
        """Read the client's secrets."""
        return self.loop.run(self.inside.credentials_of(self.client.id, CredentialKind.CLIENT_SECRET))

    def on_one(self, verb, pick, *arguments):
        """Call a verb on one of the secrets."""
        kept = self.kept()
        self.attempt(verb, kept[pick % len(kept)].id, *arguments)

    @rule()
    def create(self):
        """Make one beside the others."""
        try:
            self.loop.run(self.here.secret(self.inside, self.client, now=self.now))
        except OperatorError:
            return

    @rule(overlap=MINUTES)
    def rotate(self, overlap):
        """Make a successor."""
        make = partial(rotate_client_secret, digester=self.here.digester)
        self.attempt(make, self.client.id, overlap)

    @rule(pick=st.integers(0, 9))
    def finish(self, pick):
        """End an overlap."""
        self.on_one(finish_rotation, pick)

    @rule(pick=st.integers(0, 9))
    def cancel(self, pick):
        """Undo a rotation."""
        self.on_one(cancel_rotation, pick)

    @rule(pick=st.integers(0, 9))
    def end(self, pick):
        """End one."""
        self.on_one(end_credential, pick, "x")

    @rule(pick=st.integers(0, 9), on=st.booleans())
    def switch(self, pick, on):
        """Disable or enable one."""
        self.on_one(enable_credential if on else disable_credential, pick)

    @rule(passed=MINUTES)
    def wait(self, passed):
        """Let time pass."""
        self.now += passed

    @invariant()
    def at_most_two_are_live(self):
        """TE-05: two secrets at most may be used now or again."""
        live = [each for each in self.kept() if each.life.standing(self.now) is not Standing.ENDED]
        assert len(live) <= 2

    @invariant()
    def an_end_is_an_end(self):
        """RV-04: what has ended never comes back, and no epoch goes back."""
        for each in self.kept():
            ended, epoch = self.over.get(each.id, (False, 0))
            ends = each.life.standing(self.now) is Standing.ENDED
            assert ends or not ended
            assert each.epoch >= epoch
            self.over[each.id] = (ends, each.epoch)


TestSecrets = Secrets.TestCase
TestSecrets.settings = settings(max_examples=40, stateful_step_count=25)
