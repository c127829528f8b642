"""What can be asked of Keyturn from a terminal?

Doing it is left to ``app`` and ``directory``; a command only reads arguments and prints answers. Each noun is
a file, imported when it is used.
"""

import gc
import os
import sys
from importlib.util import find_spec

_GC_THRESHOLD = 200_000
"""Imports make 130,000 objects and hardly any garbage; looking for it at Python's own pace takes a seventh of
a command's time, and after every 50,000 still a tenth of a server's start."""
_STANDARD_ERROR = 2
_CONFIGURATION = 3
"""The exit code of ``cli.outcome`` for what is not set up; that file cannot be read without its libraries."""


def main() -> None:
    """Run the command line and leave with its exit code."""
    hold_standard_streams()
    gc.set_threshold(_GC_THRESHOLD)
    if find_spec("typer") is None:  # the base package is for callers and APIs, and light
        print(
            "keyturn: the command line comes with the server: pip install 'keyturn[server]'", file=sys.stderr
        )
        sys.exit(_CONFIGURATION)
    if sys.argv[1:2] == ["serve"] and "--help" not in sys.argv:
        from keyturn.cli.handover import serve

        sys.exit(serve(sys.argv[1:]))
    from keyturn.cli.root import run

    sys.exit(run(sys.argv[1:]))


def hold_standard_streams() -> None:
    """Have ``/dev/null`` in the place of a standard stream that whoever started us has closed.

    Daemons are started so: a server then starts, and what it says is lost, as was asked for; only a command
    line that is wrong is told by an exit code alone. Without this the next file or socket to be opened would
    take the stream's number, and whatever a library writes to "standard error" would go into it.
    """
    if None not in (sys.stdin, sys.stdout, sys.stderr):
        return
    while (number := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:
        os.set_inheritable(number, True)  # as the others are: the programs that we run have three streams too
    os.close(number)
    # Python has looked already, and found none.
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  # for ever
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
