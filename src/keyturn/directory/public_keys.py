"""Public keys of clients: registered by an operator, used to prove signed assertions (RFC 7523, TE-06).

They live as secrets do (``credentials``), but nothing about them is secret. A client may have a few at once,
so that it changes keys without a gap and its machines may have one each.
"""

from collections.abc import Sequence
from datetime import datetime

from keyturn.core.actors import Actor
from keyturn.core.changes import Add
from keyturn.core.errors import Clash, OperatorError
from keyturn.core.identifiers import uuid7
from keyturn.core.life import Life
from keyturn.core.records import Client, Credential
from keyturn.core.secret import Dice
from keyturn.core.store_ports import OrganisationStore
from keyturn.core.vocabulary import ClientId, CredentialId, CredentialKind
from keyturn.directory.clients import changeable_client, show_client
from keyturn.directory.credentials import facts_of, live_secrets
from keyturn.directory.events import carry_out, told
from keyturn.directory.names import check_name
from keyturn.directory.owners import raise_version
from keyturn.tokens import base64url
from keyturn.tokens.errors import KeyRejected
from keyturn.tokens.jwks import thumbprint
from keyturn.tokens.public_key import read_public_key

MAX_LIVE_KEYS = 5
"""Without a ``kid`` an assertion costs a signature for each, so they stay few."""


async def add_public_key(
    actor: Actor,
    store: OrganisationStore,
    client_id: ClientId,
    given: bytes,
    name: str,
    *,
    expires_at: datetime | None = None,
    now: datetime,
    dice: Dice,
) -> Credential:
    """Register a public key of a client, a JWK or PEM, refused from ``expires_at`` on (None: never).

    Raises:
        OperatorError: It is no acceptable public key, the client has it or its ``kid`` already or has enough,
            the client has ended or is public, or ``expires_at`` is not to come.
    """
    client = await changeable_client(actor, store, client_id)
    if client.public:
        raise OperatorError("a public client proves nothing, so it has no key")
    if expires_at is not None and expires_at <= now:
        raise OperatorError("a key expires in the future")
    try:
        jwk = read_public_key(given)
    except KeyRejected as rejected:
        raise OperatorError(str(rejected)) from None
    digest = base64url.decode(thumbprint(jwk).encode())
    _check_room(client, await store.credentials_of(client.id, CredentialKind.PUBLIC_KEY), jwk, digest, now)
    credential = Credential(
        id=CredentialId(uuid7(now, dice)),
        kind=CredentialKind.PUBLIC_KEY,
        owner_id=client.id,
        organisation_id=client.organisation_id,
        name=check_name(name),
        life=Life(created_at=now, expires_at=expires_at),
        dialects=client.dialects,
        lookup_hash=digest,
        pepper_id="",
        public_jwk=jwk,
    )
    event = told(
        "credential.created",
        actor,
        client.organisation_id,
        credential.id,
        now=now,
        dice=dice,
        details=facts_of(credential) | {"algorithm": jwk["alg"]},
    )
    # Two operators who each saw room would leave one too many: raising the client's version lets one win.
    await carry_out(store, event, raise_version(client), Add(credential))
    return credential


def _check_room(
    client: Client, there: Sequence[Credential], jwk: dict[str, str], digest: bytes, now: datetime
) -> None:
    live = live_secrets(there, now)
    if any(each.lookup_hash == digest for each in live):
        raise Clash(f"client {client.id!r} has this key already")
    # Two keys under one name: which of them an assertion means would be a guess.
    if any((each.public_jwk or {}).get("kid") == jwk["kid"] for each in live):
        raise Clash(f"client {client.id!r} has a key with this kid already")
    if len(live) >= MAX_LIVE_KEYS:
        raise Clash(f"client {client.id!r} has {MAX_LIVE_KEYS} live keys; end one first")


async def list_public_keys(
    actor: Actor, store: OrganisationStore, client_id: ClientId
) -> Sequence[Credential]:
    """List a client's public keys, oldest first, ended ones included."""
    client = await show_client(actor, store, client_id)
    return await store.credentials_of(client.id, CredentialKind.PUBLIC_KEY)
