"""Where a process's master keys come from: one or several texts, a file of them that may change.

A line or word is a key, what follows ``#`` is not read. The first is sealed under, until the deployment says
otherwise. The file is written in whole and keeps its owner and mode.
"""

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from keyturn.core.errors import ConfigError, OperatorError
from keyturn.core.secret import Dice
from keyturn.keys.files import write_private
from keyturn.keys.sealing import MasterKey, MasterSealer
from keyturn.secret_text import MOST_CHARACTERS, read_secret_text

MOST_KEYS = 8

log = logging.getLogger("keyturn.keys")

_Stamp = tuple[int, int, int, int]


def parse_keys(text: str) -> tuple[MasterKey, ...]:
    """Read master keys.

    Raises:
        ConfigError: There is none, one cannot be read, or there are too many.
    """
    words = [word for line in text.splitlines() for word in line.partition("#")[0].split()]
    keys = {key.id: key for key in map(MasterKey.parse, words)}
    if not keys:
        raise ConfigError(["the master key is empty"])
    if len(keys) > MOST_KEYS:
        raise ConfigError([f"there are more than {MOST_KEYS} master keys"])
    return tuple(keys.values())


def sealer_of(text: str, dice: Dice) -> MasterSealer:
    """Make the sealer of a process from its master keys.

    Raises:
        ConfigError: They cannot be read.
    """
    keys = parse_keys(text)
    sealer = MasterSealer(keys[0], dice)
    sealer.hold(keys)
    return sealer


class MasterKeys:
    """What a process's sealer holds, kept in step with where it comes from.

    Args:
        path: The file that the keys were read from, which is then followed; None where they came another way.
    """

    def __init__(self, sealer: MasterSealer, path: Path | None, dice: Dice) -> None:
        self.sealer = sealer
        self._path = path
        self._dice = dice
        self._seen = self._stamp()

    def reload(self) -> bool:
        """Read the file again if it is another than before; one that cannot be read changes nothing.

        Returns:
            Whether there are other keys now.
        """
        seen = self._stamp()
        if self._path is None or seen == self._seen:
            return False
        self._seen = seen
        try:
            keys = parse_keys(read_secret_text(self._path))
        except (OSError, ValueError, ConfigError) as error:
            log.error("%s is not read again: %s", self._path, error)  # noqa: TRY400  # that is all
            return False
        before = self.sealer.held
        if not self.sealer.hold(keys):
            log.error(
                "%s lacks the master key in use, %s: this process keeps it, and no other can start",
                self._path,
                self.sealer.current,
            )
        return self.sealer.held != before

    def add(self) -> str:
        """Make a key and put it last in the file; give its id.

        Raises:
            ConfigError: What the file has is no keys.
            OperatorError: The keys do not come from a file, or it is full, or cannot be read or written.
        """
        path = self._file()
        fresh = MasterKey.generate(self._dice)
        with _written(path):
            text = read_secret_text(path)
            longer = text.rstrip("\n") + "\n" + fresh.reveal() + "\n"
            _require_room(path, len(parse_keys(text)), len(longer))
            _replace(path, longer)
            self.reload()
        return fresh.id.hex()

    def drop(self, key_id: str) -> None:
        """Take a key out of the file.

        Raises:
            OperatorError: The keys do not come from a file, or it cannot be read or written.
        """
        path = self._file()
        with _written(path):
            lines = read_secret_text(path).splitlines()
            kept = [rest for line in lines if (rest := _without(line, key_id)) is not None]
            _replace(path, "\n".join(kept) + "\n")
            self.reload()

    @property
    def path(self) -> Path | None:
        """Name the file, where there is one."""
        return self._path

    def _file(self) -> Path:
        if self._path is None:
            raise OperatorError(
                "the master keys do not come from a file: change them where they come from"
                " (`keyturn master-key make` prints a new one), and start the servers anew"
            )
        return self._path

    def _stamp(self) -> _Stamp | None:
        # Symbolic links are followed: a mounted secret changes by its link.
        try:
            found = self._path.stat() if self._path is not None else None
        except OSError:
            return None
        return found and (found.st_mtime_ns, found.st_ino, found.st_size, found.st_mode)


def _without(line: str, key_id: str) -> str | None:
    """Take a key out of a line, which may hold others; None where nothing is left to keep it for."""
    before, mark, remark = line.partition("#")
    words = before.split()
    kept = [word for word in words if MasterKey.parse(word).id.hex() != key_id]
    if len(kept) == len(words):
        return line
    return " ".join([*kept, mark + remark]).rstrip() if kept else None


def _require_room(path: Path, keys: int, characters: int) -> None:
    """Refuse to make what would be refused when it is read.

    Raises:
        OperatorError: There are as many keys as there may be, or too many remarks.
    """
    if keys >= MOST_KEYS:
        raise OperatorError(
            f"{path} has {MOST_KEYS} master keys, and a process takes no more: `keyturn master-key retire`"
            " takes away one that nothing needs"
        )
    if characters > MOST_CHARACTERS:
        raise OperatorError(
            f"{path} would have more than {MOST_CHARACTERS} characters, and no process could read it:"
            " shorten its remarks, or take an old key away with `keyturn master-key retire`"
        )


def _replace(path: Path, text: str) -> None:
    """Write a file in whole in the place of another, for the same user.

    Raises:
        ConfigError: No process could start with it.
    """
    parse_keys(text)
    write_private(path.resolve(), text.encode(), like=path.stat())  # a link stays one


@contextlib.contextmanager
def _written(path: Path) -> Iterator[None]:
    """Read and write a file with nobody else doing the same: a key that is lost takes all it sealed along."""
    try:
        folder = os.open(path.resolve().parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)
    except ValueError as error:
        raise OperatorError(str(error)) from None
    except OSError as error:
        raise OperatorError(
            f"{path} cannot be written ({error.strerror}): change it where it comes from;"
            " `keyturn master-key make` prints a new key, which goes on a line of its own"
        ) from None
