"""What can be asked of Keyturn from a terminal?

Doing it is left to ``app`` and ``directory``; a command only reads arguments and prints answers. Each noun is
a file, imported when it is used.
"""

import gc
import sys
from importlib.util import find_spec

_GC_THRESHOLD = 200_000
"""Imports make 130,000 objects and hardly any garbage; looking for it at Python's own pace takes a seventh of
a command's time, and after every 50,000 still a tenth of a server's start."""
_CONFIGURATION = 3
"""The exit code of ``cli.outcome`` for what is not set up; that file cannot be read without its libraries."""


def main() -> None:
    """Run the command line and leave with its exit code."""
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
