"""Secrets of the settings from where they are kept: a file, the data folder, a command."""

import os
import select
import shlex
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from keyturn.core.errors import ConfigError
from keyturn.secret_text import read_secret_text
from keyturn.setting_types import Before

COMMAND_SECONDS = 30
"""How long a command may take: it may ask a service over the network."""
COMMAND_BYTES = 16 * 1024
_MASTER_KEY = ("master_key", "master_key_file", "master_key_command")


def _argv(value: Any) -> Any:
    """Split the text that an environment variable holds as a shell would, and let no shell near it."""
    return tuple(shlex.split(value)) if isinstance(value, str) else value


Argv = Annotated[tuple[str, ...], Before(_argv)]
"""A program and its arguments."""


def open_secret_files(
    names: Sequence[str], values: dict[str, Any], folder: Path, spell: Callable[[str], str]
) -> Iterator[str]:
    """Read what one source of settings gives as files into the settings that they are for.

    Args:
        names: The secrets there are, dotted.
        values: What the source gives, nested; changed.
        folder: Where relative names begin.
        spell: How the source spells a setting.

    Yields:
        What is wrong.
    """
    for name in names:
        *parents, last = name.split(".")
        table: Any = values
        for parent in parents:
            table = table.get(parent) if isinstance(table, dict) else None
        path = table.pop(f"{last}_file", None) if isinstance(table, dict) else None
        if path is None:
            continue
        if last in table:
            yield f"{spell(name)} and {spell(name + '_file')} are both given"
        try:
            table[last] = read_secret_text(folder / path).strip()
            if name in _MASTER_KEY:
                table[f"{last}_file"] = folder / path  # it is followed while a server runs
        except (OSError, ValueError, TypeError) as error:
            yield f"{spell(name + '_file')}: {why(error, path)}"
    if values.get("master_key_command") and "master_key" in values:
        yield f"{spell('master_key_command')} and {spell('master_key')} are both given"


def keep_one_master_key(layers: Sequence[dict[str, Any]]) -> None:
    """Have the first source that says where the master key is say all of it."""
    said = False
    for values in layers:
        mine = [name for name in _MASTER_KEY if name in values]
        for name in mine if said else ():
            del values[name]
        said = said or bool(mine)


def read_kept_key(path: Path) -> str:
    """Give the master key that is kept in the data folder.

    Raises:
        ConfigError: There is none, or others than its owner may read it.
    """
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigError([f"{path} may be read by others: chmod 600 {path}"])
        return read_secret_text(path).strip()
    except FileNotFoundError:
        if not path.parent.is_dir():
            problem = f"data folder {path.parent} does not exist: `keyturn init` makes it"
            raise ConfigError([problem]) from None
        raise ConfigError(
            [f"no master key: `keyturn init` makes {path}; or set KEYTURN_MASTER_KEY_FILE"]
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError([f"master key: {why(error, path)}"]) from None


def run_for_secret(setting: str, argv: Sequence[str], seconds: float = COMMAND_SECONDS) -> str:
    """Run a program and give what it prints; no shell, and nothing of its output in any message.

    What it says on standard error is dropped: ours is a log, and nobody knows what it says when it fails.

    Raises:
        ConfigError: It cannot be started, takes too long, fails, or prints nothing or too much.
    """
    what = f"{setting} ({argv[0]})"
    try:
        program = subprocess.Popen(  # noqa: S603  # the operator's own
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except (OSError, ValueError) as error:
        raise ConfigError([f"{what} cannot be started: {why(error, argv[0])}"]) from None
    with program:
        try:
            printed = _read_bounded(program, seconds)
        except subprocess.TimeoutExpired:
            raise ConfigError([f"{what} gave no answer within {seconds:g} seconds"]) from None
        finally:
            program.kill()
    if printed is None:
        raise ConfigError([f"{what} prints more than {COMMAND_BYTES} bytes: it should print the key alone"])
    if program.returncode != 0:
        raise ConfigError([f"{what} failed with exit code {program.returncode}; run it by hand to see why"])
    try:
        text = printed.decode().strip()
    except UnicodeDecodeError:
        text = ""
    if not text:
        raise ConfigError([f"{what} printed no text: it should print the key alone"])
    return text


def _read_bounded(program: "subprocess.Popen[bytes]", seconds: float) -> bytes | None:
    """Read all that a program prints and wait for its end; None where it is too much.

    Raises:
        TimeoutExpired: It takes too long.
    """
    deadline, printed = time.monotonic() + seconds, b""
    pipe = program.stdout.fileno() if program.stdout is not None else -1
    while len(printed) <= COMMAND_BYTES:
        ready, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise subprocess.TimeoutExpired(program.args, seconds)
        chunk = os.read(pipe, COMMAND_BYTES)
        if not chunk:
            program.wait(max(0.0, deadline - time.monotonic()))
            return printed
        printed += chunk
    return None


def why(error: Exception, path: Path | str) -> str:
    """Say what is wrong with a file, and nothing of what is in it: it may be a key (HT-07)."""
    if isinstance(error, UnicodeDecodeError):  # whose words quote a byte
        return f"{path}: is not UTF-8 text"
    return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
