"""A SQLite deployment's backup in one sealed file: made while servers write, checked, and brought back.

What lies in the clear meanwhile lies in a workshop: a folder of its own, for its owner only, that the next
command removes where one was killed. Source: RE-09; docs/operations/backup.md.
"""

import fcntl
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec

from keyturn import __version__
from keyturn.app import check_chain, copies, files, master_keys_of, open_local, streams
from keyturn.core.actors import Actor
from keyturn.core.errors import OperatorError
from keyturn.core.secret import Dice
from keyturn.directory.audit import TrailVerdict, verify_audit
from keyturn.directory.restoring import Restored, RestoreWish, mark_restored
from keyturn.settings import Settings
from keyturn.upkeep.checkpoints import Checkpoints

MAGIC = "keyturn backup 1"
_AT_ONCE = 1 << 20
_WORKSHOP = "keyturn-copy-"


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup says of itself."""

    head: streams.Head
    sight: copies.Sight
    bytes: int


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """A backup that opens to its end.

    Args:
        damage: What SQLite finds wrong with it; the trail is not followed then.
    """

    seen: Seen
    damage: str | None
    trail: TrailVerdict | None

    @property
    def good(self) -> bool:
        """Whether it can be restored, and nothing in it was altered."""
        return self.damage is None and self.trail is not None and self.trail.intact


class Back(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment that is back; ``aside`` is where the file is that was there before."""

    seen: Seen
    restored: Restored
    aside: Path | None


def make_backup(settings: Settings, file: Path, *, force: bool, now: datetime, dice: Dice) -> Seen:
    """Write a backup; a server may be writing to the deployment meanwhile.

    Raises:
        ConfigError: There is no deployment or no master key.
        OperatorError: The file is there already, or the deployment is none that can be copied.
    """
    source = copies.file_of(settings.store_url())
    keys = {key.id.hex(): key for key in master_keys_of(settings)}
    files.require_free(file, force=force)
    with workshop(settings) as folder:
        copy = folder / "copy.db"
        with _disk():
            copies.copy_online(source, copy)
            sight = copies.look(copy)
        # Another may be one that is on its way out, because it leaked, or was never in use and goes again.
        key = keys.get(sight.master_key or next(iter(keys)))
        if key is None:
            raise OperatorError(
                f"the deployment seals under the master key with id {sight.master_key}: add it; here is"
                f" {', '.join(keys)}"
            )
        facts = {"schema": sight.schema, "deployment": sight.deployment, "checkpoint": sight.checkpoint}
        head = streams.Head(
            made_by=__version__,
            created_at=now,
            salt=streams.make_salt(dice),
            key_id=key.id.hex(),
            facts=facts,
        )
        with files.fresh(file, force=force) as out, copy.open("rb") as clear:
            sealing = streams.Sealing(out, MAGIC, head, streams.under_master_key(key, head.salt, MAGIC))
            while piece := clear.read(_AT_ONCE):
                sealing.write(piece)
            sealing.finish()
    return Seen(head=head, sight=sight, bytes=file.stat().st_size)


async def verify_backup(settings: Settings, file: Path, actor: Actor) -> Verified:
    """Open all of a backup, and look whether the store in it is whole and its trail unbroken.

    Raises:
        ConfigError: There is no master key.
        OperatorError: It is no backup, cut or altered, or under another master key.
    """
    with workshop(settings) as folder:
        seen, copy = _unpack(settings, file, folder)
        damage = copies.damage(copy)
        trail = None
        if damage is None:
            async with open_local(settings, apart=copy) as local:
                key = await local.audit_keys.find()
                trail = await verify_audit(
                    actor,
                    local.deployment,
                    local.store.upkeep,
                    check=check_chain,
                    signature=key.verify if key else None,
                )
    return Verified(seen=seen, damage=damage, trail=trail)


async def restore_backup(
    settings: Settings, file: Path, actor: Actor, wish: RestoreWish, *, replace: bool
) -> Back:
    """Put what is in a backup in the deployment's place, with everything ended that could happen twice.

    That is done to the copy, so that there is no moment at which a server could start on one without.

    Args:
        replace: Whether a database that is there may make room; it is kept beside.

    Raises:
        ConfigError: There is no master key.
        OperatorError: The backup is not good, there is a database, it is another deployment's, or in use.
    """
    target = copies.file_of(settings.store_url())
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with copies.alone(target), workshop(settings, beside=target) as folder:
        there = target.exists() and target.stat().st_size > 0
        if there and not replace:
            raise OperatorError(
                f"there is a database at {target}; say --replace to put the backup in its place"
            )
        seen, copy = _unpack(settings, file, folder)
        lost = _look_at_lost(target, seen.sight.deployment) if there else {}
        if damage := copies.damage(copy):
            raise OperatorError(f"the database in the backup is damaged: {damage}")
        source = {"backup_of": seen.head.created_at.isoformat(), "made_by": seen.head.made_by} | lost
        restored = await mark(settings, actor, msgspec.structs.replace(wish, source=source), apart=copy)
        copies.settle(copy)
        copies.flush(copy)
        aside = copies.put_in_place(copy, target, restored.at)
    return Back(seen=seen, restored=restored, aside=aside)


async def mark(settings: Settings, actor: Actor, wish: RestoreWish, *, apart: Path | None = None) -> Restored:
    """Do to a store that was set back what has to be done, and have a checkpoint cover that."""
    async with open_local(settings, apart=apart, patient=True) as local:
        restored = await mark_restored(
            actor,
            local.deployment,
            local.store.upkeep,
            local.store.upkeep,
            wish,
            now=local.clock.now(),
            dice=local.dice,
        )
        await Checkpoints(local.store.upkeep, local.audit_keys).work(local.clock.now())
    return restored


def _unpack(settings: Settings, file: Path, folder: Path) -> tuple[Seen, Path]:
    """Open a backup into a folder."""
    keys, copy = {key.id.hex(): key for key in master_keys_of(settings)}, folder / "keyturn.db"
    with _disk(), file.open("rb") as sealed:
        opening = streams.Opening(sealed, MAGIC)
        head = opening.head
        key = keys.get(head.key_id or "")
        if key is None:
            here = ", ".join(keys)
            raise OperatorError(f"this backup needs the master key with id {head.key_id}; here is {here}")
        with files.private(copy) as out:
            for piece in opening.pieces(streams.under_master_key(key, head.salt, MAGIC)):
                out.write(piece)
        sight = copies.look(copy)
    return Seen(head=head, sight=sight, bytes=file.stat().st_size), copy


def _look_at_lost(target: Path, deployment: str) -> dict[str, str]:
    """Say for the trail how far the database had come that makes room, where it can be read at all.

    Raises:
        OperatorError: It is another deployment's, or in use.
    """
    try:
        copies.settle(target)  # early, and again at the end: an older version does not ask for our lock
        sight = copies.look(target)
    except (sqlite3.Error, TypeError):
        return {"replaced": "unreadable"}
    if sight.deployment != deployment:
        raise OperatorError(f"{target} is another deployment's; move it away first if it is not needed")
    return {"replaced_checkpoint": sight.checkpoint or "none", "replaced_rows_to": str(sight.audit_rows_to)}


@contextmanager
def workshop(settings: Settings, beside: Path | None = None) -> Iterator[Path]:
    """Make a folder for what lies in the clear, and remove it with all that is in it.

    Args:
        beside: A file on whose disk it must be.
    """
    parent = beside.parent if beside else settings.data
    parent = parent if parent.is_dir() else Path(tempfile.gettempdir())
    _sweep(parent)
    folder = Path(tempfile.mkdtemp(prefix=_WORKSHOP, dir=parent))
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _sweep(parent: Path) -> None:
    """Remove the workshops of those who were killed: nobody holds their locks."""
    for left in parent.glob(f"{_WORKSHOP}*"):
        try:
            held = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(held)


@contextmanager
def _disk() -> Iterator[None]:
    """Say in plain words that a file cannot be read or written, or is no store.

    Raises:
        ConfigError: It cannot.
        OperatorError: It is none.
    """
    try:
        with files.spoken():
            yield
    except sqlite3.Error as error:
        raise OperatorError(f"the database cannot be copied: {error}") from None
