"""What a command's end means: its exit code, and what is told on standard error, without a traceback."""

import os
import sys
from collections.abc import Callable, Sequence

from keyturn.core.errors import ConfigError, Fault, OperatorError, Unavailable

NO, CONFIGURATION, STORE = 1, 3, 4
"""Exit codes of ours; 0 is success, and 2 what every command line says to arguments it cannot read."""
INTERRUPTED = 130
"""What shells say of SIGINT."""


def outcome(command: Callable[[], None]) -> int:
    """Run a command and give its exit code; an error is told."""
    try:
        return _with_a_reader(command)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    except OperatorError as error:
        return _say([str(error)], NO)
    except ConfigError as error:
        return _say(error.problems, CONFIGURATION)
    except Unavailable as error:
        from keyturn.app import cause_of

        cause = cause_of(error)
        reason = f": {cause}" if cause else ""
        return _say([f"not available: {error.reason.replace('_', ' ')}; nothing was changed{reason}"], STORE)
    except (Fault, PermissionError) as error:
        return _say([_words(error)], STORE)


def _with_a_reader(command: Callable[[], None]) -> int:
    try:
        command()
    except BrokenPipeError:
        # Whoever read our output has enough of it; nothing more may be printed, at the exit neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NO
    return 0


def _words(error: Fault | PermissionError) -> str:
    if isinstance(error, PermissionError):
        return f"{error.filename}: {error.strerror}; run this as the user whose data it is"
    return str(error)


def _say(problems: Sequence[str], code: int) -> int:
    for problem in problems:
        print(f"keyturn: {problem}", file=sys.stderr)
    return code
