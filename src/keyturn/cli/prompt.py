"""Reads what must not be an argument: arguments are seen by every process and kept by the shell (HT-07)."""

import sys

import typer

from keyturn.core.errors import OperatorError
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
