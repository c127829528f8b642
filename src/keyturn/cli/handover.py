"""``keyturn serve`` in two processes: a child reads the command line and the settings, the first one serves.

    keyturn serve ──► fork ──► child: typer, pydantic ──► settings, checked ──► pipe ──► gone
                       └─────► loads what serves, meanwhile ─────────────────────┴─────► serves

What reads command lines and checks settings would cost the server 11 MB for as long as it lives. There is one
table of options and one check all the same: what the child says, errors too, is what the command says, and
its exit code is the command's (docs/decisions/0034-a-child-reads-the-command-line.md).
"""

import contextlib
import io
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any, NoReturn

import msgspec

from keyturn.cli.outcome import INTERRUPTED, NO, outcome
from keyturn.core.secret import Secret
from keyturn.dialects import load_dialects
from keyturn.settings import Settings

_OF_BOTH = ("asyncio", "importlib.metadata", "tempfile", "keyturn.directory.dialect_settings")
"""What both processes need, loaded before they part: on one core they would load it one after the other."""


class Order(msgspec.Struct, frozen=True):
    """What should be served.

    Args:
        demo: Whether it is a demo.
    """

    settings: Settings
    demo: bool


class _Giving:
    """Where a child writes the order; None where nobody waits for one."""

    pipe: int | None = None


def give(order: Order) -> None:
    """Give an order to the process that serves, or serve it here where nobody waits for it."""
    if _Giving.pipe is None:
        _serve(order)
        return
    with os.fdopen(_Giving.pipe, "wb") as pipe:
        _Packer(pipe).dump((order.settings, order.demo))


def serve(arguments: Sequence[str]) -> int:
    """Serve what a command line asks for, and give the exit code.

    Args:
        arguments: They begin with ``serve``.
    """
    for name in _OF_BOTH:
        import_module(name)
    load_dialects()
    # Whoever started us may have left it ignored, and then nobody is told how a child ended.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    receiving, giving = os.pipe()
    leash, held = os.pipe()
    try:
        child = os.fork()
    except OSError:  # no process more is allowed; this one can read as well
        for each in (receiving, giving, leash, held):
            os.close(each)
        return _run(arguments)
    if child == 0:
        os.close(receiving)
        os.close(held)
        _read_and_leave(arguments, giving, leash)
    os.close(giving)
    os.close(leash)
    try:
        import_module("keyturn.serving")
        with os.fdopen(receiving, "rb") as pipe:
            packed = pipe.read()
        code = _end_of(child)
    except KeyboardInterrupt:
        os.close(held)  # a terminal interrupts the child as well, a service manager may not
        with contextlib.suppress(ChildProcessError):  # its end may have been heard of already
            _end_of(child)
        return INTERRUPTED
    os.close(held)
    if code or not packed:
        return code
    order = Order(*pickle.loads(packed))  # noqa: S301  # written by our own child
    return outcome(partial(_until_interrupted, partial(_serve, order)))


def _run(arguments: Sequence[str]) -> int:
    code: int = import_module("keyturn.cli.root").run(arguments)
    return code


def _read_and_leave(arguments: Sequence[str], giving: int, leash: int) -> NoReturn:
    """Read the command line as any other's; what the parent does at its own end is not done here."""
    code = NO
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with contextlib.suppress(RuntimeError):  # no thread more is allowed; it leaves with its next word
            threading.Thread(target=_leave_with_parent, args=(leash,), daemon=True).start()
        _Giving.pipe = giving
        code = _run(arguments)
        for each in filter(None, (sys.stdout, sys.stderr)):  # None where it was closed from the start
            with contextlib.suppress(OSError):
                each.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BaseException:  # noqa: BLE001  # it would come out of the interpreter, which must not end here
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def _leave_with_parent(leash: int) -> None:
    """Interrupt this process when its parent is gone: it may ask a terminal or a slow command meanwhile."""
    os.read(leash, 1)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


def _end_of(child: int) -> int:
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code >= 0:
        return code
    print(f"keyturn: reading the settings was ended: {signal.strsignal(-code)}", file=sys.stderr)
    return 128 - code


def _serve(order: Order) -> None:
    if order.demo:
        from keyturn.demo import run

        run(order.settings, os.environ)
        return
    from keyturn.serving import bind, serve

    serve(order.settings, bind(order.settings))


def _until_interrupted(command: Callable[[], None]) -> None:
    """Run a command, and leave as what reads command lines would."""
    try:
        command()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


class _Packer(pickle.Pickler):
    """Packs settings, and secrets that refuse to be packed: the pipe leads from a process into itself."""

    def __init__(self, pipe: io.BufferedWriter) -> None:
        super().__init__(pipe, protocol=pickle.HIGHEST_PROTOCOL)

    def reducer_override(self, value: Any) -> Any:
        """Unwrap a secret, and leave the rest to Python."""
        return (Secret, (value.reveal(),)) if isinstance(value, Secret) else NotImplemented
