"""Files that a command is told to read."""

import stat
from pathlib import Path

from keyturn.core.errors import OperatorError


def require_file(file: Path) -> None:
    """Refuse a pipe and a device: a command would wait for them, and cannot read them twice.

    Whoever opens the file says of anything else why it cannot be read.

    Raises:
        OperatorError: It is one.
    """
    try:
        mode = file.stat().st_mode
    except OSError:
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OperatorError(f"{file} is a pipe or a device, no file")
