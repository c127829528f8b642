"""What can be asked of Keyturn from a terminal?

Doing it is left to ``app`` and ``directory``; a command only reads arguments and prints answers. Each noun is
a file, imported when it is used.
"""

import sys


def main() -> None:
    """Run the command line and leave with its exit code."""
    from keyturn.cli.root import run

    sys.exit(run(sys.argv[1:]))
