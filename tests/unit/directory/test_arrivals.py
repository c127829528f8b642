"""An organisation's file that was written by hand brings nothing in that is not its organisation's own."""

import hashlib
import secrets
from datetime import UTC, datetime

import msgspec
import pytest

from keyturn.core.errors import OperatorError
from keyturn.core.hashes import read_hash, spell_pbkdf2
from keyturn.core.life import Life
from keyturn.core.records import Client, Credential, Entity, Membership, Organisation, Team, User
from keyturn.core.secret import Secret
from keyturn.core.secret_policy import GROUP
from keyturn.core.vocabulary import CredentialKind
from keyturn.directory.arrivals import require_own
from keyturn.directory.policy_settings import POLICY_SETTINGS
from keyturn.directory.transfer import Household
from keyturn.keys.passwords import ArgonPasswords

NOW = datetime(2026, 11, 22, tzinfo=UTC)
HOME, OTHER, ADA, ZOE, SUBJECT = (f"00000000-0000-7000-8000-00000000000{digit}" for digit in range(5))
IN_IT = {"organisation_id": HOME, "created_at": NOW}
CREDENTIAL = Credential(
    id="s",
    kind=CredentialKind.CLIENT_SECRET,
    owner_id="app",
    organisation_id=HOME,
    name="s",
    life=Life(created_at=NOW),
    dialects=("oauth2",),
    lookup_hash=hashlib.sha256(b"s").digest(),
    pepper_id="pepper-1",
)
CLIENT = Client(id="app", name="app", dialects=(), grants=(), scopes=(), audiences=(), **IN_IT)
ORGANISATION = Organisation(id=HOME, slug="acme", name="acme", api_key="k", created_at=NOW)
USER = User(id=ADA, name="ada", display_name="ada", **IN_IT)
MEMBERSHIP = Membership(id="m", user_id=ADA, **IN_IT)
TEAM = Team(id="t", name="t", **IN_IT)
ENTITY = Entity(id="FIU-1", subject=SUBJECT, name="one", type="FIU", users=(ADA,), **IN_IT)
SOUND = Household(
    organisation=ORGANISATION,
    clients=(CLIENT,),
    users=(USER,),
    memberships=(MEMBERSHIP,),
    teams=(TEAM,),
    projects=(),
    entities=(ENTITY,),
    credentials=(CREDENTIAL,),
)
FORGED = {
    "clients": [
        (CLIENT, "organisation_id", OTHER),
        (CLIENT, "id", ADA),
        (CLIENT, "id", "built-in"),
        (CLIENT, "id", "a|b"),
    ],
    "users": [
        (USER, "organisation_id", OTHER),
        (USER, "id", "../x"),
        (USER, "last_organisation_id", OTHER),
        (USER, "version", -1),
    ],
    "memberships": [(MEMBERSHIP, "organisation_id", OTHER), (MEMBERSHIP, "user_id", ZOE)],
    "teams": [(TEAM, "organisation_id", OTHER), (TEAM, "id", "../t")],
    "entities": [
        (ENTITY, "organisation_id", OTHER),
        (ENTITY, "users", (ZOE,)),
        (ENTITY, "subject", ADA),
        (ENTITY, "epoch", -1),
        (ENTITY, "id", ""),
    ],
    "credentials": [
        (CREDENTIAL, "organisation_id", OTHER),
        (CREDENTIAL, "owner_id", ZOE),
        (CREDENTIAL, "id", "s|2026-01-01"),
        (CREDENTIAL, "id", "s\0"),
        (CREDENTIAL, "verifier", "$argon2id$v=19$m=4194304,t=9,p=1$c2FsdHNhbHRzYWx0$" + "A" * 43),
        (CREDENTIAL, "verifier", "0" * 64),
    ],
}
FORGED_SELF = [
    ("slug", "../o"),
    ("slug", "admin"),
    ("id", "deployment"),
    ("ended_at", NOW),
    ("settings", {GROUP: {"entity_secret_days": "many"}}),
]


def check(household):
    """Check as an import does, beside one client that a contract has built in."""
    tables = {GROUP: POLICY_SETTINGS}
    require_own(household, reserved={"built-in"}, tables=tables, costs=(256 * 1024, 9))


def test_an_honest_file():
    """What an organisation has of its own comes in, with settings that are not known here."""
    settings = {"unheard-of": {"x": 1}, GROUP: {"entity_secret_days": 30}}
    organisation = msgspec.structs.replace(ORGANISATION, settings=settings)
    check(msgspec.structs.replace(SOUND, organisation=organisation))


async def test_honest_hashes():
    """Every hash that is kept comes in: ours, costly ones, those of easy secrets, imported ones."""
    secret = Secret("correct horse battery")
    ours = ArgonPasswords(secrets.token_bytes)
    rounds = spell_pbkdf2("sha256", 100_000, b"salt" * 4, bytes(32))
    bcrypt = read_hash("$2b$12$" + "." * 53).verifier
    costly = "$argon2id$v=19$m=262144,t=9,p=1$c2FsdHNhbHRzYWx0$" + "A" * 43
    for verifier in (await ours.hash(secret), await ours.hash_exactly(secret), rounds, bcrypt, costly):
        credential = msgspec.structs.replace(CREDENTIAL, verifier=verifier)
        check(msgspec.structs.replace(SOUND, credentials=(credential,)))


def test_forged_records():
    """TN-01, TK-15: no record of another organisation, owner, version or id, and no hash without bounds."""
    for members, forged in FORGED.items():
        for record, field, value in forged:
            wrong = msgspec.structs.replace(record, **{field: value})
            with pytest.raises(OperatorError):
                check(msgspec.structs.replace(SOUND, **{members: (wrong,)}))
    for field, value in FORGED_SELF:
        wrong = msgspec.structs.replace(ORGANISATION, **{field: value})
        with pytest.raises(OperatorError):
            check(msgspec.structs.replace(SOUND, organisation=wrong))
