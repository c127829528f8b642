"""How a secret that somebody else made becomes a credential: never in clear, and under what hash.

    a SHA-256, or a clear text of 128 bits and more           as those that Keyturn makes: HMAC under a pepper
    a slow hash, of what its owner's name comes with          as it is, until its first good use
    a password in clear, or a text that is easily guessed     argon2id

Decision 0026 says why. Nothing is saved here.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from keyturn.core.errors import OperatorError
from keyturn.core.hashes import HashKind, read_hash
from keyturn.core.identifiers import uuid7
from keyturn.core.life import Life, Standing
from keyturn.core.password_rules import MAX_LENGTH, MIN_LENGTH, normal_form
from keyturn.core.ports import Digester, Passwords, Sealer
from keyturn.core.records import Client, Credential, Entity, Organisation, User
from keyturn.core.secret import Dice, Secret
from keyturn.core.strength import LEAST_LENGTH, is_strong
from keyturn.core.vocabulary import CredentialId, CredentialKind
from keyturn.directory.api_tokens import MAX_LIVE_API_TOKENS
from keyturn.directory.credentials import MAX_LIVE_SECRETS, accepted_end, live_secrets
from keyturn.directory.import_rows import Row
from keyturn.directory.names import check_name
from keyturn.directory.secrets import GRACE_DAYS, SECRET_DAYS
from keyturn.directory.user_keys import MAX_LIVE_USER_KEYS, require_to_come

Owner = Client | User | Entity

MAX_SLOW = 2
"""Of an owner's secrets of a kind under a slow hash: a wrong one costs as many checks."""
_MOST = {
    CredentialKind.CLIENT_SECRET: MAX_LIVE_SECRETS,
    CredentialKind.USER_KEY: MAX_LIVE_USER_KEYS,
    CredentialKind.API_TOKEN: MAX_LIVE_API_TOKENS,
    CredentialKind.ENTITY_SECRET: 1,
    CredentialKind.PASSWORD: 1,
}
_EASY = "easily guessed: kept under a slow hash, and checked a few times a minute only; better make a new one"


class ImportPorts(msgspec.Struct, frozen=True, kw_only=True):
    """What an import needs from outside.

    Args:
        dialects: By kind of credential, the wire formats that take it; clients' secrets have their client's.
    """

    digester: Digester
    passwords: Passwords
    sealer: Sealer
    dialects: Mapping[CredentialKind, tuple[str, ...]]


class Wanted(msgspec.Struct, frozen=True):
    """A credential that a row asks for.

    Args:
        credential: None where the owner has it already.
        clear: What is yet to be hashed slowly.
        remark: What the operator should know of it.
        hashes: Those under which its value may be somebody's already: under each pepper there is.
    """

    credential: Credential | None
    clear: Secret | None = None
    remark: str = ""
    hashes: Sequence[bytes] = ()


async def want(
    row: Row,
    owner: Owner,
    held: Sequence[Credential],
    organisation: Organisation,
    ports: ImportPorts,
    *,
    now: datetime,
    dice: Dice,
) -> Wanted:
    """Say what credential a row asks for.

    Args:
        held: The owner's credentials of that kind, those of this file too.

    Raises:
        OperatorError: It cannot be had.
    """
    kind = kind_of(row, owner)
    if (row.secret is None) == (row.secret_hash is None):
        raise OperatorError("either a secret or a secret_hash, not both")
    kept = _kept_hash(row.secret_hash, kind) if row.secret_hash else _kept_clear(row.secret, kind)
    here = await _find(kept, owner, kind, held, ports)
    if here is not None:
        if here.life.standing(now) is Standing.ENDED:
            raise OperatorError("its owner had this secret, and it has ended: it does not come back")
        return Wanted(None)
    _require_room(kind, kept, held, now)
    credential_id = uuid7(now, _repeatable(kept, owner, kind, ports.digester)[0] if kept.verifier else dice)
    digest = kept.digest or hashlib.sha256(credential_id.encode()).digest()
    pepper_id = ports.digester.current_pepper_id if kept.digest else ""
    credential = Credential(
        id=CredentialId(credential_id),
        kind=kind,
        owner_id=owner.id,
        organisation_id=organisation.id,
        name=check_name(row.secret_name),
        life=_life(row, kind, organisation, now),
        dialects=owner.dialects if isinstance(owner, Client) else ports.dialects[kind],
        lookup_hash=ports.digester.lookup_hash(digest, pepper_id) if kept.digest else digest,
        pepper_id=pepper_id,
        verifier=kept.verifier or None,
    )
    if kind is CredentialKind.ENTITY_SECRET and row.secret is not None:
        sealed = ports.sealer.seal(kind, credential.id, row.secret.reveal().encode())
        credential = msgspec.structs.replace(credential, sealed=sealed)
    hashes = ports.digester.lookup_hashes(digest) if kept.digest else ()
    return Wanted(credential, kept.clear, kept.remark, hashes)


def kind_of(row: Row, owner: Owner) -> CredentialKind:
    """Say what kind of secret a row brings: the one it names, else the usual one of its owner.

    Raises:
        OperatorError: The owner has no secrets of that kind.
    """
    match owner:
        case Client(public=True):
            kinds: tuple[CredentialKind, ...] = ()
        case Client():
            kinds = (CredentialKind.CLIENT_SECRET, CredentialKind.API_TOKEN)
        case Entity():
            kinds = (CredentialKind.ENTITY_SECRET,)
        case User(service=True):
            kinds = (CredentialKind.USER_KEY, CredentialKind.API_TOKEN)
        case _:
            kinds = (CredentialKind.PASSWORD, CredentialKind.USER_KEY, CredentialKind.API_TOKEN)
    if not kinds:
        raise OperatorError("a public client has no secret")
    kind = row.secret_kind or kinds[0]
    if kind not in kinds:
        raise OperatorError(f"secret_kind: its owner may have {' or '.join(kinds)}")
    return kind


# --- under what hash? ---


class _Kept(msgspec.Struct, frozen=True):
    """How a secret will be kept: by a fast digest, a slow hash that was given, or one yet to be made."""

    digest: bytes = b""
    verifier: str = ""
    clear: Secret | None = None
    remark: str = ""


def _kept_hash(given: Secret, kind: CredentialKind) -> _Kept:
    try:
        read = read_hash(given.reveal())
    except ValueError as error:
        raise OperatorError(f"secret_hash: {error}") from None
    if read.kind is HashKind.SHA256:
        if kind is CredentialKind.PASSWORD:
            raise OperatorError("a password under a fast hash is as good as known: have a new one set")
        return _Kept(digest=read.digest)
    _require_named(kind)
    return _Kept(verifier=read.verifier)


def _kept_clear(given: Secret | None, kind: CredentialKind) -> _Kept:
    secret = given or Secret("")
    text = secret.reveal()
    if "\n" in text or "\r" in text or "\t" in text or not text:
        raise OperatorError("secret: empty, or more than one line")
    if kind is CredentialKind.PASSWORD:
        if len(text) > MAX_LENGTH:
            raise OperatorError(f"a password has at most {MAX_LENGTH} characters")
        short = len(normal_form(text)) < MIN_LENGTH
        remark = f"a password of fewer than {MIN_LENGTH} characters: left alone until it is changed"
        return _Kept(clear=secret, remark=remark if short else "")
    if is_strong(text):
        return _Kept(digest=secret.sha256())
    if len(text) < LEAST_LENGTH:
        raise OperatorError(f"a secret of fewer than {LEAST_LENGTH} characters is guessed in no time")
    _require_named(kind)
    return _Kept(clear=secret, remark=_EASY)


def _require_named(kind: CredentialKind) -> None:
    if kind is CredentialKind.API_TOKEN:
        raise OperatorError("an API token is found by its value: in clear and hard to guess, or by SHA-256")


# --- is it here already? ---


async def _find(
    kept: _Kept, owner: Owner, kind: CredentialKind, held: Sequence[Credential], ports: ImportPorts
) -> Credential | None:
    """Find the credential that a row brought before, whatever became of its hash since."""
    if kept.digest:
        hashes = ports.digester.lookup_hashes(kept.digest)
        return next((each for each in held if each.lookup_hash in hashes), None)
    if kept.verifier:
        tags = _repeatable(kept, owner, kind, ports.digester)
        return next(
            (each for each in held if any(each.id == uuid7(each.life.created_at, tag) for tag in tags)), None
        )
    for each in held:
        if each.verifier and kept.clear is not None:
            check = (
                ports.passwords.check if kind is CredentialKind.PASSWORD else ports.passwords.check_exactly
            )
            if await check(kept.clear, each.verifier):
                return each
    return None


def _repeatable(kept: _Kept, owner: Owner, kind: CredentialKind, digester: Digester) -> list[Dice]:
    """Give dice that fall the same for the same hash of the same owner, under the newest pepper first.

    A slow hash is gone after its first good use; by the id that these give, its credential is known again.
    """
    message = f"import\n{owner.organisation_id}\n{kind}\n{owner.id}\n{kept.verifier}".encode()
    tags = [digester.tag(message), *digester.tags(message).values()]
    return [lambda size, tag=tag: tag[:size] for tag in tags]  # type: ignore[misc]  # a default binds it


def _require_room(kind: CredentialKind, kept: _Kept, held: Sequence[Credential], now: datetime) -> None:
    living = live_secrets(held, now)
    if len(living) >= _MOST[kind]:
        what = kind.replace("_", " ")
        raise OperatorError(
            f"its owner has {_MOST[kind]} live {what}{'s' * (_MOST[kind] > 1)} already; end one first"
        )
    slow = sum(each.verifier is not None for each in living)
    if not kept.digest and slow >= MAX_SLOW:
        raise OperatorError(f"its owner has {MAX_SLOW} secrets under slow hashes already")


# --- how long? ---


def _life(row: Row, kind: CredentialKind, organisation: Organisation, now: datetime) -> Life:
    asked = row.secret_expires_at
    match kind:
        case CredentialKind.CLIENT_SECRET:
            return Life(created_at=now, expires_at=accepted_end(asked, organisation, now))
        case CredentialKind.PASSWORD:
            if asked is not None:
                raise OperatorError("a password does not expire")
            return Life(created_at=now)
        case CredentialKind.ENTITY_SECRET:
            require_to_come(asked, now)
            longest = now + timedelta(days=SECRET_DAYS.of(organisation))
            expires_at = min(asked or longest, longest).replace(microsecond=0)
            return Life(
                created_at=now,
                expires_at=expires_at,
                grace_until=expires_at + timedelta(days=GRACE_DAYS.of(organisation)),
            )
        case _:
            require_to_come(asked, now)
            return Life(created_at=now, expires_at=asked)
