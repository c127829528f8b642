"""The process behind ``warm.py``: it has loaded what commands and servers load, and forks them.

Its standard input is a leash: where that closes it ends.
"""

import atexit
import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import FrameType
from typing import NoReturn

from warm import NUMBER

LATE = (
    *("alembic.autogenerate", "alembic.command", "alembic.config", "argon2", "bcrypt", "e2e.hand"),
    *("keyturn.cli.local", "keyturn.cli.remote", "keyturn.demo", "keyturn.serving", "keyturn.storage.text"),
    *("keyturn.upkeep.jobs", "psycopg", "pydantic.dataclasses", "sqlalchemy.dialects.postgresql.psycopg"),
    *("sqlalchemy.dialects.sqlite.pysqlite", "structlog", "typer._adapters", "uvicorn", "uvloop"),
)
"""What commands and servers load as they go, nouns apart."""


def _keyturn() -> None:
    from keyturn.cli import main

    main()


def _hand() -> None:
    from e2e.hand import main

    main()


PROGRAMS: Mapping[str, Callable[[], None]] = {"keyturn": _keyturn, "hand": _hand}


def main() -> None:
    """Fork for whoever asks, and tell them how it ended."""
    listening = socket.socket(fileno=int(sys.argv[1]))
    _load()
    woken, waking = socket.socketpair()
    for each in (woken, waking):
        each.setblocking(False)
    signal.set_wakeup_fd(waking.fileno())
    signal.signal(signal.SIGCHLD, _hear)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    callers: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([0, listening, woken], [], [])
        if 0 in ready:
            return
        if listening in ready:
            pid, caller = _fork(listening)
            callers[pid] = caller
        if woken in ready:
            woken.recv(4096)
            _tell(callers)


def _load() -> None:
    from keyturn.cli.root import NOUNS, module_of
    from keyturn.dialects import load_dialects

    for noun in NOUNS:
        module_of(noun)
    for name in LATE:
        import_module(name)
    load_dialects()
    assert threading.active_count() == 1, "what has threads cannot be forked"
    gc.collect()
    gc.freeze()  # or each child would copy, as it looks for garbage, what it shares with the others


def _hear(_number: int, _frame: FrameType | None) -> None:
    """Be woken."""


def _fork(listening: socket.socket) -> tuple[int, socket.socket]:
    caller, _ = listening.accept()
    said, files, _, _ = socket.recv_fds(caller, 1 << 16, 3)
    while more := caller.recv(1 << 16):
        said += more
    pid = os.fork()
    if pid == 0:
        _be(said, files)
    for file in files:
        os.close(file)
    _say(caller, pid)
    return pid, caller


def _tell(callers: dict[int, socket.socket]) -> None:
    """Tell whose process has ended; several ends may be one signal."""
    while callers:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        caller = callers.pop(pid)
        _say(caller, os.waitstatus_to_exitcode(status))
        caller.close()


def _say(caller: socket.socket, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # whoever asked is gone
        caller.send(NUMBER.pack(number))


def _be(said: bytes, files: Sequence[int]) -> NoReturn:
    """Be what was asked for, with nothing of the process that forked."""
    code = 1
    try:
        asked = json.loads(said)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number, file in enumerate(files):
            os.dup2(file, number)
        os.closerange(len(files), 1024)
        os.chdir(asked["folder"])
        os.environ.clear()
        os.environ.update(asked["environ"])
        time.tzset()
        sys.argv = [asked["program"], *asked["arguments"]]
        code = _run(PROGRAMS[asked["program"]])
    except BaseException:  # noqa: BLE001  # what went wrong here would not be told by anybody else
        traceback.print_exc()
    finally:
        os._exit(code)


def _run(program: Callable[[], None]) -> int:
    """Run a program to its end as the interpreter does."""
    try:
        program()
        code: object = 0
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001  # as the interpreter: tell it, and leave
        sys.excepthook(*sys.exc_info())
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = 120
    if code is None or isinstance(code, int):
        return code or 0
    sys.stderr.write(f"{code}\n")
    return 1


if __name__ == "__main__":
    main()
