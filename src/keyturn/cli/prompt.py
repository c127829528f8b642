"""Reads what must not be an argument: arguments are seen by every process and kept by the shell (HT-07)."""

import sys
from pathlib import Path

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
