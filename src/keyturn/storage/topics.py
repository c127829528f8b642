"""What caches must hear of when a change held: the topics of the feed.

A topic and a key in it are all that travels; ``registry`` and its neighbours say what they forget for each.
"""

from collections.abc import Iterator

from keyturn.core.admin_records import AdminToken
from keyturn.core.changes import (
    Add,
    AddMany,
    Change,
    EndFamily,
    Prefer,
    Record,
    Remove,
    Replace,
    ReplaceKey,
    RequireVersion,
    Rewind,
    Rotate,
    Shred,
    Touch,
)
from keyturn.core.records import (
    Client,
    Credential,
    Entity,
    Membership,
    Organisation,
    Revocation,
    Sealed,
    SigningKey,
    User,
)
from keyturn.storage.feed import EVERYTHING

REVOCATION = "revocation"
"""Topic of a revocation: its key says all that memory keeps of it."""
LAST_USE = "last_use"
"""Topic of a credential's use: its key says all that memory needs, so that nothing is read again."""
ADMIN_TOKEN = "admin_token"
"""Topic of an admin token: its id."""
SHRED = "shred"
"""Topic of a destroyed organisation key: every writer drops what it keeps open of it."""

_TOPICS: dict[type[Record], tuple[str, str]] = {
    Organisation: ("organisation", "id"),
    Client: ("client", "id"),
    User: ("user", "id"),
    Membership: ("membership", "user_id"),
    Entity: ("entity", "id"),
    Credential: ("credential", "owner_id"),
    SigningKey: ("signing_key", "issuer_id"),
    Sealed: ("sealed", "purpose"),
    AdminToken: (ADMIN_TOKEN, "id"),
}
"""Topic and key field of what caches keep; the others are read at each use."""


def topics_of(change: Change) -> Iterator[tuple[str, str]]:
    """Name what caches must hear of when a change held: a topic and a key in it; nothing for what none keeps.

    ``organisation``, ``client``, ``user``, ``entity``: its id. ``membership``: the user's id. ``credential``:
    its owner's id. ``signing_key``: the issuer's id. ``sealed``: the purpose. ``revocation``: what it covers
    and until when (``revocation_key``). ``last_use``: owner, credential and day. ``shred``: the id of the
    organisation whose key is destroyed. ``admin_token``: its id. After a rewind ``EVERYTHING``.
    """
    match change:
        case Touch():
            yield LAST_USE, f"{change.owner_id}|{change.credential_id}|{change.day.isoformat()}"
        case Prefer():
            yield "user", change.user_id
        case Shred():
            yield SHRED, change.organisation_id
        case Add(Revocation() as revocation):
            yield REVOCATION, revocation_key(revocation)
        case AddMany():
            for record in change.records:
                yield from _topic_of(record)
        case Add() | Replace() | ReplaceKey() | Remove():
            yield from _topic_of(change.record)
        case Rewind():
            yield EVERYTHING, EVERYTHING
        case RequireVersion() | Rotate() | EndFamily():
            return


def _topic_of(record: Record) -> Iterator[tuple[str, str]]:
    if place := _TOPICS.get(type(record)):
        yield place[0], getattr(record, place[1])


def revocation_key(revocation: Revocation) -> str:
    """Spell a revocation so that the feed alone tells every process all it has to keep in memory."""
    return f"{revocation.id}|{revocation.expires_at.isoformat()}"
