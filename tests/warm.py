"""Processes of ours without the time that imports take: one has loaded everything and forks for whoever asks.

A command of ``keyturn`` spends most of its time on imports, and tests run hundreds. So each test worker has a
process that has loaded it all (``forking.py``). What it forks has the arguments, the environment, the folder
and the files that it was given, as after an ``exec``, and ends as the program ends:

    process = start("keyturn", ["org", "list"], environ, folder, files=(0, 1, 2))
    assert process.wait(30.0) == 0

Whatever is about a start itself starts a process of its own: what is loaded, another release, a wrapper, a
server that is killed or has a terminal. This file imports little, because shells run it as ``keyturn`` too.
"""

import array
import json
import os
import signal
import socket
import struct
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
NUMBER = struct.Struct("=i")
"""What is told of a process: its id, and later its exit code, negative for a signal."""
_SCRIPT = """#!{python} -ISE
import os, sys
if sys.argv[1:2] == ["serve"]:
    os.execv({real!r}, [{real!r}, *sys.argv[1:]])
sys.path.append({here!r})
from warm import start
process = start("keyturn", sys.argv[1:], os.environ, os.getcwd(), (0, 1, 2), {place!r})
sys.exit(process.wait() % 256)
"""


class Forked:
    """A process that was forked for us: as much of ``subprocess.Popen`` as tests use."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.returncode: int | None = None
        self.pid = self._number()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; gives the exit code.

        Raises:
            subprocess.TimeoutExpired: It has not ended in that time.
        """
        if self.returncode is None:
            self._connection.settimeout(timeout)
            try:
                self.returncode = self._number()
            except (BlockingIOError, TimeoutError):
                from subprocess import TimeoutExpired

                raise TimeoutExpired(f"process {self.pid}", timeout or 0.0) from None
            self._connection.close()
        return self.returncode

    def poll(self) -> int | None:
        """Give the exit code of a process that has ended."""
        from subprocess import TimeoutExpired

        try:
            return self.wait(0.0)
        except TimeoutExpired:
            return None

    def send_signal(self, number: int) -> None:
        """Send a signal, if there still is somebody."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill -9."""
        self.send_signal(signal.SIGKILL)

    def _number(self) -> int:
        said = self._connection.recv(NUMBER.size, socket.MSG_WAITALL)
        assert len(said) == NUMBER.size, "the process that forks has ended"
        return int(NUMBER.unpack(said)[0])


def start(
    program: str,
    arguments: Sequence[str],
    environ: Mapping[str, str],
    folder: str | Path,
    files: Sequence[int],
    place: str = "",
) -> Forked:
    """Have a process forked.

    Args:
        program: A name among ``forking.PROGRAMS``.
        files: Standard input, output and error.
        place: Of the process that forks; this test worker's own one if not given.
    """
    asked = {
        "program": program,
        "arguments": list(arguments),
        "environ": dict(environ),
        "folder": str(folder),
    }
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(place or _place())
    handed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))]
    message = json.dumps(asked).encode()
    sent = connection.sendmsg([message], handed)
    connection.sendall(message[sent:])
    connection.shutdown(socket.SHUT_WR)
    return Forked(connection)


def write_command(file: Path) -> None:
    """Write a command for shells that does what ``keyturn`` does; it serves in a process of its own."""
    real = str(Path(sys.executable).with_name("keyturn"))
    file.write_text(_SCRIPT.format(python=sys.executable, real=real, here=str(HERE), place=_place()))
    file.chmod(0o755)


@cache
def _place() -> str:
    """Start the process that forks; it ends with this one."""
    import atexit
    import subprocess
    import tempfile

    folder = tempfile.TemporaryDirectory(prefix="keyturn-warm-")
    place = f"{folder.name}/asked"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(place)
        listening.listen(64)
        paths = os.pathsep.join([str(HERE), *filter(None, sys.path)])
        process = subprocess.Popen(
            [sys.executable, "-m", "forking", str(listening.fileno())],
            stdin=subprocess.PIPE,  # it ends when this closes, as it does however we end
            stdout=subprocess.PIPE,  # no file, in which its children would look for their place
            pass_fds=[listening.fileno()],
            env=os.environ | {"PYTHONPATH": paths},
        )

    def end() -> None:
        process.communicate()
        folder.cleanup()

    atexit.register(end)
    return place
