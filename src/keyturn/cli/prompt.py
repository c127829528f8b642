"""Asks the person at the terminal: for what must not be an argument, and whether they mean it.

Arguments are seen by every process and kept by the shell (HT-07).
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from keyturn.core.errors import ConfigError, OperatorError
from keyturn.core.secret import Secret

_MOST = 64 * 1024


def ask_secret(what: str, *, twice: bool = False) -> Secret:
    """Read a secret from a hidden prompt, or from standard input: exactly, but for a last newline.

    Args:
        twice: Whether a person types it again, to be sure of it.
    """
    if sys.stdin.isatty():
        return Secret(typer.prompt(what, hide_input=True, confirmation_prompt=twice, err=True))
    text = sys.stdin.read(_MOST).removesuffix("\n").removesuffix("\r")
    if not text:
        raise OperatorError(f"{what.lower()}: nothing came by standard input")
    return Secret(text)


def secret_from(file: Path | None, what: str, *, twice: bool = False) -> Secret:
    """Read a secret from a file, exactly but for a last newline; without one as ``ask_secret`` does."""
    if file is None:
        return ask_secret(what, twice=twice)
    try:
        with file.open(encoding="utf-8") as opened:
            text = opened.read(_MOST).removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{file}: {getattr(error, 'strerror', None) or 'is not text'}"]) from None
    return Secret(text)


Yes = Annotated[bool, typer.Option("--yes", help="Do it without being asked: it cannot be undone.")]


def require_yes(what: str, yes: bool) -> None:
    """Have a person say that they mean it; whoever is not at a terminal says ``--yes`` beforehand.

    Args:
        what: What would happen, as a sentence.

    Raises:
        OperatorError: They do not.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise OperatorError(f"{what} It cannot be undone: say --yes")
    if not typer.confirm(f"{what} It cannot be undone. Go on?", err=True):
        raise OperatorError("nothing was done")
