"""A scene of people for the tests of their exchanges: real store, rings and limits, hashing that counts."""

import contextlib
import hashlib
from datetime import timedelta

import msgspec

from harness import deployment
from keyturn.core.changes import Add
from keyturn.core.life import Life
from keyturn.core.profile import TokenProfile
from keyturn.core.records import Credential, Entity, Membership, User
from keyturn.core.requests import BuiltInClient, Call, Origin, PresentedCredential, TokenRequest
from keyturn.core.secret import Secret, make_secret
from keyturn.core.shapes import Member, Shape
from keyturn.core.vocabulary import (
    API_TOKEN,
    CHANGE_ORGANISATION,
    ENTITY_SECRET,
    PASSWORD,
    PROJECTS_VIEW,
    REFRESH_TOKEN,
    USER_KEY,
    CredentialId,
    CredentialKind,
    EntityId,
    MembershipId,
    OwnerName,
    RequestId,
    UserId,
)
from keyturn.exchange.bearer import identify
from keyturn.exchange.change import change_organisation
from keyturn.exchange.login import log_in
from keyturn.exchange.minting import compile_claims
from keyturn.exchange.refresh import refresh

CLAIMS = Shape((Member("scope", "scope", "words"), Member("roles", "roles", "list")))
PROFILE = TokenProfile(
    kind="toy.access",
    dialect="toy",
    lifetime_seconds=600,
    refresh_lifetime_seconds=3600,
    always_refreshable=True,
    claims=CLAIMS,
)
ID_PROFILE = TokenProfile(kind="toy.id", dialect="toy", lifetime_seconds=600)
TABLE = BuiltInClient(
    id="toy_owner", scopes=("api", "openid", "admin"), audiences={"": "urn:toy", "admin": "urn:admin"}
)
SEED = b"12345678901234567890"

KINDS = {
    PASSWORD: (CredentialKind.PASSWORD, OwnerName.USER_NAME),
    USER_KEY: (CredentialKind.USER_KEY, OwnerName.EMAIL),
    API_TOKEN: (CredentialKind.API_TOKEN, OwnerName.SECRET),
    ENTITY_SECRET: (CredentialKind.ENTITY_SECRET, OwnerName.ENTITY_ID),
    REFRESH_TOKEN: (CredentialKind.REFRESH_TOKEN, OwnerName.SECRET),
    CHANGE_ORGANISATION: (CredentialKind.ACCESS_TOKEN, OwnerName.SECRET),
}
ROADS = {REFRESH_TOKEN: refresh, CHANGE_ORGANISATION: change_organisation}


class CountingPasswords:
    """Passwords whose hash is the password behind a word, and how often one was checked or hashed."""

    def __init__(self):
        """Start with no work done."""
        self.checked = []
        self.hashed = 0

    async def hash(self, password):
        """Hash as today."""
        self.hashed += 1
        return "new:" + password.reveal()

    async def check(self, password, verifier):
        """Compare, and remember with what."""
        self.checked.append(verifier)
        return verifier is not None and verifier.partition(":")[2] == password.reveal()

    def is_outdated(self, verifier):
        """Tell an old hash by its word."""
        return verifier.startswith("old:")


class Scene:
    """Ada, at home in acme and a member of globex, a credential of each kind, and an entity of acme."""

    def __init__(self, here):
        """Take an open deployment."""
        self.here = here
        self.passwords = CountingPasswords()
        claims = {each.kind: compile_claims(each) for each in (PROFILE, ID_PROFILE)}
        roles = {"toy:viewer": frozenset({PROJECTS_VIEW})}
        self.services = msgspec.structs.replace(
            here.desk._services, passwords=self.passwords, claims=claims, roles=roles
        )
        self.acme, self.globex = here.organisations["acme"], here.organisations["globex"]
        self.secrets = {}

    async def furnish(self):
        """Make everybody."""
        now = self.here.clock.now()
        self.ada = User(
            id=UserId("ada"),
            organisation_id=self.acme.id,
            name="ada",
            display_name="Ada",
            created_at=now,
            email="ada@acme.example",
            email_verified_at=now,
        )
        self.memberships = [
            Membership(
                id=MembershipId(f"{each.slug}-ada"),
                user_id=self.ada.id,
                organisation_id=each.id,
                created_at=now + timedelta(seconds=place),
                roles=("toy:viewer", "other:admin"),
            )
            for place, each in enumerate((self.acme, self.globex))
        ]
        self.party = Entity(
            id=EntityId("PARTY-1"),
            subject="11111111-1111-4111-8111-111111111111",
            organisation_id=self.acme.id,
            name="Party",
            type="FIU",
            created_at=now,
        )
        await self.here.change(*map(Add, (self.ada, *self.memberships, self.party)))
        await self.add(CredentialKind.PASSWORD, verifier="new:right horse")
        await self.add(CredentialKind.USER_KEY)
        await self.add(CredentialKind.API_TOKEN, organisation_id=self.globex.id)
        await self.add(CredentialKind.RECOVERY_CODE)
        await self.add(CredentialKind.TOTP, sealed=self.services.sealer.seal("totp", "totp", SEED))
        await self.add(CredentialKind.ENTITY_SECRET, owner_id=self.party.id)

    async def add(self, kind, name=None, **changes):
        """Give somebody a credential, with a made secret where its kind is looked up by one."""
        digester, name = self.here.local.digester, name or kind.value
        text = name
        with contextlib.suppress(KeyError):
            text = make_secret(kind, self.here.local.dice).reveal()
        self.secrets[name] = text
        members = {
            "id": CredentialId(name),
            "kind": kind,
            "owner_id": self.ada.id,
            "organisation_id": self.acme.id,
            "name": name,
            "life": Life(created_at=self.here.clock.now()),
            "dialects": ("toy",),
            "lookup_hash": digester.lookup_hash(
                hashlib.sha256(text.encode()).digest(), digester.current_pepper_id
            ),
            "pepper_id": digester.current_pepper_id,
        }
        await self.here.change(Add(Credential(**(members | changes))))

    async def credential(self, name):
        """Read a credential as it is now."""
        for organisation in (self.acme, self.globex):
            found = await self.here.local.deployment.organisation_store(organisation.id).credential(name)
            if found is not None:
                return found
        raise LookupError(name)

    async def user(self):
        """Read Ada as she is now."""
        return (await self.here.local.deployment.user_view(self.ada.id)).user

    def request(self, grant_type, secret=None, owner=None, address="192.0.2.1", **changes):
        """Ask as the built-in client of a contract does."""
        kind, named = KINDS[grant_type]
        owners = {OwnerName.USER_NAME: "Ada", OwnerName.EMAIL: "ADA@acme.example"}
        owners |= {OwnerName.ENTITY_ID: "PARTY-1", OwnerName.SECRET: None}
        text = self.secrets.get(kind.value) if secret is None else secret
        if kind is CredentialKind.PASSWORD and secret is None:
            text = "right horse"
        shown = PresentedCredential(kind=kind, secret=Secret(text), owner=owner or owners[named], named=named)
        members = {
            "origin": Origin(request_id=RequestId("r"), address=address, dialect="toy", route="get"),
            "profile": PROFILE,
            "grant_type": grant_type,
            "credential": shown,
            "client": shown,
            "client_table": TABLE,
            "organisation": "acme" if named is OwnerName.USER_NAME else None,
            "accepts": (PROFILE,),
        }
        return TokenRequest(**(members | changes))

    async def get(self, grant_type, secret=None, **changes):
        """Walk the road of a grant."""
        asked = self.request(grant_type, secret, **changes)
        return await ROADS.get(grant_type, log_in)(asked, self.services)

    async def call(self, token, **changes):
        """Call with a token."""
        origin = Origin(request_id=RequestId("r"), address="192.0.2.1", dialect="toy", route="call")
        members = {"origin": origin, "operation": "look", "token": token, "accepts": (PROFILE,)}
        return await identify(Call(**(members | changes)), self.services)


@contextlib.asynccontextmanager
async def scene(**options):
    """Open a deployment with Ada in it."""
    async with deployment(**options) as here:
        made = Scene(here)
        await made.furnish()
        yield made
