"""What can be asked of Keyturn from a terminal?

Doing it is left to ``app`` and ``directory``; a command only reads arguments and prints answers. Each noun is
a file, imported when it is used.
"""

import gc
import sys

_GC_THRESHOLD = 50_000
"""Imports make many objects and hardly any garbage; looking for it at Python's own pace takes a seventh of a
command's time."""


def main() -> None:
    """Run the command line and leave with its exit code."""
    gc.set_threshold(_GC_THRESHOLD)
    from keyturn.cli.root import run

    sys.exit(run(sys.argv[1:]))
