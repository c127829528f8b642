"""What a command's end means: its exit code, and what is told on standard error, without a traceback."""

import io
import os
import sys
from collections.abc import Callable, Sequence

from keyturn.core.errors import ConfigError, Fault, OperatorError, Unavailable

NO, UNREADABLE, CONFIGURATION, STORE = 1, 2, 3, 4
"""Exit codes; 0 is success, and 2 what every command line says to arguments it cannot read."""
INTERRUPTED = 130
"""What shells say of SIGINT."""


def outcome(command: Callable[[], None]) -> int:
    """Run a command and give its exit code; an error is told."""
    try:
        return _answered(command)
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
    except (Fault, OSError) as error:
        return _say([_words(error)], STORE)


def _answered(command: Callable[[], None]) -> int:
    """Run a command, and have all of its answer written as long as it can be told that it could not be."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name may have letters that a terminal has not
    try:
        try:
            command()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has enough of it
        _print_no_more()
        return NO
    except OSError as error:
        if error.filename is not None or isinstance(error, PermissionError):
            raise
        _print_no_more()
        return _say([f"{error.strerror or error}: not all of the answer was written, but it may be done"], NO)
    return 0


def _print_no_more() -> None:
    """Let go of what is not printed yet: Python would try it again at the exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _words(error: Fault | OSError) -> str:
    if isinstance(error, OSError):
        to_do = "; run this as the user whose data it is" if isinstance(error, PermissionError) else ""
        return f"{error.filename}: {error.strerror}{to_do}"
    return str(error)


def _say(problems: Sequence[str], code: int) -> int:
    for problem in problems:
        print(f"keyturn: {problem}", file=sys.stderr)
    return code
