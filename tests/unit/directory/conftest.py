"""A deployment in memory, an operator, and verbs called with one instant and real dice."""

import hashlib
import secrets
from datetime import UTC, datetime
from functools import partial

import pytest

from keyturn.core.actors import operator
from keyturn.core.actors import user as user_actor
from keyturn.directory.clients import ClientWish, create_client
from keyturn.directory.credentials import create_client_secret
from keyturn.directory.memberships import add_member
from keyturn.directory.organisations import create_organisation
from keyturn.directory.users import UserWish, create_user
from keyturn.keys.sealing import MasterKey, MasterSealer
from keyturn.storage.memory import MemoryStore

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
OPERATOR = operator("alice")
ROLES = ("toy:admin", "toy:viewer")


class StandingClock:
    """A clock that does not move: verbs get their time as an argument."""

    def now(self):
        return NOW

    def monotonic(self):
        return 1.0


class PlainDigester:
    """Keeps the pepper's name beside the hash, so that a test sees what was digested."""

    current_pepper_id = "p1"

    def lookup_hash(self, secret_sha256, pepper_id):
        return pepper_id.encode() + secret_sha256

    def tag(self, message):
        return hashlib.sha256(b"p1" + message).digest()

    def tags(self, message):
        return {"p1": self.tag(message)}


class PlainPasswords:
    """Hashes nothing, so that a test sees what would have been hashed."""

    async def hash(self, password):
        return f"plain:{password.reveal()}"


class Deployment:
    """An open deployment with short ways to make what a test is not about."""

    def __init__(self):
        sealer = MasterSealer(MasterKey.generate(secrets.token_bytes), secrets.token_bytes)
        self.sealer = sealer
        self.memory = MemoryStore(sealer, StandingClock(), secrets.token_bytes)
        self.store = self.memory.deployment
        self.digester = PlainDigester()
        self.passwords = PlainPasswords()
        self.at = {"now": NOW, "dice": secrets.token_bytes}

    def act(self, verb, *arguments, actor=OPERATOR, **named):
        """Call a verb on the deployment."""
        return verb(actor, self.store, *arguments, **{**self.at, **named})

    async def organisation(self, slug="acme"):
        """Make an organisation and narrow to it."""
        made = await self.act(create_organisation, slug, slug.title())
        return made, self.store.organisation_store(made.id)

    async def client(self, inside, **wish):
        """Make a client."""
        wish = ClientWish(**({"name": "bot", "scopes": ("read", "write")} | wish))
        return await create_client(OPERATOR, inside, wish, dialects=("oauth2", "endorsed"), **self.at)

    async def secret(self, inside, client, **named):
        """Make a secret for a client."""
        make = partial(create_client_secret, OPERATOR, inside, client.id, "s", digester=self.digester)
        return await make(**{**self.at, **named})

    async def user(self, inside, name="alice", **wish):
        """Make a user."""
        user, _ = await create_user(
            OPERATOR, inside, UserWish(**({"name": name} | wish)), roles=ROLES, **self.at
        )
        return user

    async def member(self, inside, user, actor=OPERATOR, **named):
        """Take a user into an organisation."""
        return await add_member(
            actor, self.store, inside.organisation_id, user, **{"roles": ROLES, **self.at, **named}
        )

    async def caller(self, inside, user, *permissions):
        """Name a user as a caller with a token is named."""
        kept = await inside.user(user.id) or user
        return user_actor(kept, await inside.membership_of(user.id), frozenset(permissions))

    async def events(self):
        """List what the audit trail tells: kind, outcome and reason."""
        return [(row.kind, row.outcome, row.reason) for row in await self.store.audit_rows(limit=1_000)]


@pytest.fixture
def deployment():
    return Deployment()


@pytest.fixture
def now():
    return NOW
