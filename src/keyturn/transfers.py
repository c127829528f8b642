"""An organisation in one file, sealed under a passphrase, with all that its secrets need to go on elsewhere.

The digests of secrets are of use only under the pepper they were made with, so peppers go along, sealed
inside; there they are further peppers beside the deployment's own. What is sealed under one master key is
opened for the way and sealed under the other.
"""

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from keyturn import __version__
from keyturn.app import LocalServices, files, moving, open_local, peppers, streams
from keyturn.core.actors import Actor
from keyturn.core.errors import OperatorError
from keyturn.core.records import Credential, Sealed, SigningKey
from keyturn.core.secret import Secret
from keyturn.core.secret_policy import GROUP as POLICY
from keyturn.core.vocabulary import CredentialId
from keyturn.directory.arrivals import require_own
from keyturn.directory.policy_settings import POLICY_SETTINGS
from keyturn.directory.transfer import Household, collect, objections, settle
from keyturn.settings import Settings

MAGIC = "keyturn organisation 1"
MOST_BYTES = 1 << 30
"""A bundle is read into memory: this much, unpacked."""
_SHORTEST = 16
_PEPPER_BYTES = 32


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """What is in the file.

    Args:
        household: Without what is sealed.
        opened: By credential: devices' seeds, and secrets that can be read again.
        peppers: Those that the credentials' digests are under.
        keys: The signing keys, where they go along.
    """

    household: Household
    opened: dict[CredentialId, bytes]
    peppers: dict[str, bytes]
    keys: tuple[moving.MovedKey, ...] = ()

    def __repr__(self) -> str:
        """Show whose it is and nothing that is in it."""
        return f"Bundle({self.household.organisation.slug})"


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """What was written to a file or read from one; ``conflicts`` keep it out."""

    slug: str
    organisation_id: str
    counts: dict[str, str]
    signing_keys: int
    conflicts: tuple[str, ...] = ()


async def export_organisation(
    settings: Settings,
    file: Path,
    slug: str,
    passphrase: Secret,
    actor: Actor,
    *,
    with_keys: bool = False,
    force: bool = False,
) -> Moved:
    """Write an organisation to a file.

    Raises:
        OperatorError: There is no such organisation, the file is there, or the passphrase is too short.
    """
    if len(passphrase.reveal()) < _SHORTEST:
        raise OperatorError(f"the passphrase guards every secret of the organisation: {_SHORTEST} characters")
    files.require_free(file, force=force)
    async with open_local(settings) as local:
        now = local.clock.now()
        household = await collect(
            actor, local.deployment, slug, with_keys=with_keys, now=now, dice=local.dice
        )
        bundle = await _bundle(local, household, with_keys=with_keys)
        salt = streams.make_salt(local.dice)
    head = streams.Head(made_by=__version__, created_at=now, salt=salt, facts={"organisation": slug})
    with files.fresh(file, force=force) as out:
        sealing = streams.Sealing(out, MAGIC, head, streams.under_passphrase(passphrase, salt, MAGIC))
        sealing.write(msgspec.msgpack.encode(bundle))
        sealing.finish()
    return _moved(bundle)


async def import_organisation(
    settings: Settings, file: Path, passphrase: Secret, actor: Actor, *, dry_run: bool = False
) -> Moved:
    """Bring an organisation in from a file, whole or not at all; a conflict is told, and keeps it out.

    Raises:
        OperatorError: The file is none of the kind, cut or altered, or the passphrase is another.
    """
    bundle = _read(file, passphrase)
    async with open_local(settings, patient=True) as local:
        now = local.clock.now()
        _require_sound(local, bundle, settings, now)
        conflicts = await objections(local.deployment, bundle.household)
        if not conflicts and not dry_run:
            household, further = await _unbundle(local, bundle, now)
            await settle(actor, local.deployment, household, further, now=now, dice=local.dice)
    return msgspec.structs.replace(_moved(bundle), conflicts=tuple(conflicts))


def is_bundle(file: Path) -> bool:
    """Tell by its first line whether a file is an organisation's.

    Raises:
        OperatorError: It cannot be read.
    """
    line = MAGIC.encode() + b"\n"
    try:
        with file.open("rb") as opened:
            return opened.read(len(line)) == line
    except OSError as error:
        raise OperatorError(f"{file}: {error.strerror}") from None


async def _bundle(local: LocalServices, household: Household, *, with_keys: bool) -> Bundle:
    opened = {
        each.id: local.sealer.open(each.kind, each.id, each.sealed)
        for each in household.credentials
        if each.sealed is not None
    }
    needed = {each.pepper_id for each in household.credentials}
    every = await peppers.open_peppers(local.deployment, local.sealer)
    keys = await local.deployment.signing_keys(household.organisation.id) if with_keys else ()
    return Bundle(
        household=msgspec.structs.replace(
            household, credentials=tuple(_with(each, sealed=None) for each in household.credentials)
        ),
        opened=opened,
        peppers={name: pepper for name, pepper in every.items() if name in needed},
        keys=tuple(moving.open_key(key, local.sealer) for key in keys),
    )


def _require_sound(local: LocalServices, bundle: Bundle, settings: Settings, now: datetime) -> None:
    """Refuse what no export writes: whoever has the passphrase can write a file by hand.

    Raises:
        OperatorError: It is not sound, or a key that came along would retire too early here (TK-14).
    """
    dialects = local.every_dialect()
    require_own(
        bundle.household,
        reserved=local.built_in_clients(),
        tables={POLICY: POLICY_SETTINGS, **{name: each.settings for name, each in dialects.items()}},
        costs=(settings.passwords.memory_kib, settings.passwords.passes),
    )
    used = {each.pepper_id for each in bundle.household.credentials}
    if used - {""} != set(bundle.peppers) or any(
        len(each) != _PEPPER_BYTES for each in bundle.peppers.values()
    ):
        raise OperatorError("the file's digests and its peppers do not fit together")
    moving.require_own(bundle.keys, bundle.household.organisation.id)
    if until := moving.unsafe_until(bundle.keys, now, local.longest_lifetime()):
        raise OperatorError(
            f"tokens of this deployment could outlive a signing key that came along: import it after"
            f" {until.isoformat(timespec='seconds')}, or without the keys"
        )


async def _unbundle(
    local: LocalServices, bundle: Bundle, now: datetime
) -> tuple[Household, list[Sealed | SigningKey]]:
    """Seal under this deployment's master key what came in the clear."""
    sealer, further = local.sealer, list[Sealed | SigningKey]()
    here = {pepper: name for name, pepper in (await peppers.open_peppers(local.deployment, sealer)).items()}
    names: dict[str, str] = {}
    for name, pepper in bundle.peppers.items():
        if pepper not in here:
            sealed = await peppers.seal_pepper(local.deployment, sealer, pepper, now, local.dice)
            further.append(sealed)
            here[pepper] = sealed.id
        names[name] = here[pepper]
    credentials = tuple(
        _with(
            each,
            pepper_id=names.get(each.pepper_id, each.pepper_id),
            sealed=sealer.seal(each.kind, each.id, bundle.opened[each.id])
            if each.id in bundle.opened
            else None,
        )
        for each in bundle.household.credentials
    )
    further += moving.seal_ring(bundle.keys, sealer, now)
    return msgspec.structs.replace(bundle.household, credentials=credentials), further


def _with(credential: Credential, **changes: Any) -> Credential:
    return msgspec.structs.replace(credential, **changes)


def _read(file: Path, passphrase: Secret) -> Bundle:
    packed = bytearray()
    with files.spoken(), file.open("rb") as sealed:
        opening = streams.Opening(sealed, MAGIC)
        for piece in opening.pieces(streams.under_passphrase(passphrase, opening.head.salt, MAGIC)):
            packed += piece
            if len(packed) > MOST_BYTES:
                raise OperatorError(f"there is more than {MOST_BYTES >> 20} MB in it")
    try:
        return msgspec.msgpack.decode(packed, type=Bundle)
    except (msgspec.MsgspecError, RecursionError):
        raise OperatorError("it was written by another version, which knew other records") from None


def _moved(bundle: Bundle) -> Moved:
    organisation = bundle.household.organisation
    return Moved(
        slug=organisation.slug,
        organisation_id=organisation.id,
        counts=bundle.household.counts(),
        signing_keys=len(bundle.keys),
    )
