"""The examples of a page: which of its blocks are run, in what order, and what they have to answer.

A fenced block says after its language what is done with it; one that says nothing is only read:

    ```sh run        run in the page's shell, whose variables and functions stay for the next block
    ```sh serve      start a server; the next such block, or the end of the page, stops it with SIGTERM
    ```python run    run as a script of its own, with the shell's variables in its environment
    ```json answer   the block before printed this, where "<jwt>", "<uuid>" and "<text>" stand for any such
    ```python part   one part of a file that a test of its own puts together
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, NamedTuple

from ports import free_ports
from warm import write_command

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\w+) (\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLACES = {
    "<jwt>": r"[\w-]+\.[\w-]+\.[\w-]+",
    "<uuid>": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "<text>": r".+",
}
PORTS = ("8480", "8481")
"""What pages write; the test puts free ports in their place."""
DEADLINE_SECONDS = 60

_KNOWN = 'test ! -e "$HOME/.shell" || . "$HOME/.shell"\n'
_KEEP = '\n{ declare -f; export -p; } > "$HOME/.shell"\n'


class Block(NamedTuple):
    """A fenced block with a mark."""

    language: str
    mark: str
    text: str


READ_ONLY = {("python", "part")}


def blocks(page: Path) -> list[Block]:
    """List a page's marked blocks in their order."""
    return [Block(*found) for found in FENCE.findall(page.read_text(encoding="utf-8"))]


def runnable(page: Path) -> list[Block]:
    """List the blocks that a reader of the page carries out."""
    return [block for block in blocks(page) if (block.language, block.mark) not in READ_ONLY]


def fits(wanted: Any, got: Any) -> bool:
    """Tell whether an answer is what a page shows, its places filled."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        return list(wanted) == list(got) and all(fits(value, got[name]) for name, value in wanted.items())
    if isinstance(wanted, list) and isinstance(got, list):
        return len(wanted) == len(got) and all(map(fits, wanted, got))
    if isinstance(wanted, str) and wanted in PLACES:
        return isinstance(got, str) and re.fullmatch(PLACES[wanted], got) is not None
    return type(wanted) is type(got) and wanted == got


class Reader:
    """Somebody who reads a page with a terminal beside it, in an empty folder with an installed Keyturn."""

    def __init__(self, folder: Path) -> None:
        """Sit down in ``folder``."""
        self._folder = folder
        (folder / ".venv").symlink_to(sys.prefix)
        shutil.copy(ROOT / "Makefile", folder)
        commands = folder / "state" / "bin"
        commands.mkdir(parents=True)
        write_command(commands / "keyturn")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KEYTURN_")}
        self._environment = kept | {
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
            "TMPDIR": str(folder),
            "PATH": os.pathsep.join([str(commands), f"{sys.prefix}/bin", os.environ["PATH"]]),
        }
        self._ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self._server: subprocess.Popen[str] | None = None
        self.printed = ""

    def follow(self, page: Path) -> int:
        """Do what every marked block says, and give their number."""
        to_do = runnable(page)
        try:
            for block in to_do:
                self._do(block)
            self._stop()
        finally:
            if self._server is not None:
                self._server.kill()
                self._server.wait()
        return len(to_do)

    def _do(self, block: Block) -> None:
        text = re.sub("|".join(PORTS), lambda port: self._ports[port.group()], block.text)
        if (block.language, block.mark) == ("sh", "run"):
            self.printed = self._shell("set -eu -o pipefail -o allexport\n" + text + _KEEP)
        elif (block.language, block.mark) == ("python", "run"):
            (self._folder / "example.py").write_text(text, encoding="utf-8")
            self.printed = self._shell(f'exec "{sys.executable}" -W error example.py')
        elif (block.language, block.mark) == ("sh", "serve"):
            self._stop()
            self._serve(text)
        elif (block.language, block.mark) == ("json", "answer"):
            got = json.loads(self.printed)
            assert fits(json.loads(text), got), f"the page shows {text}the answer is {got}"
        else:
            raise AssertionError(f"nobody knows what to do with ```{block.language} {block.mark}")

    def _shell(self, script: str) -> str:
        run = subprocess.run(
            ["bash", "-c", _KNOWN + script],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
        assert run.returncode == 0, f"{script}\nleft with {run.returncode}:\n{run.stdout}{run.stderr}"
        return run.stdout

    def _serve(self, text: str) -> None:
        public, management = self._ports.values()
        # What `make demo` does once the environment is there; the ports of a page are those of its defaults.
        command = text.strip().replace("make demo", "keyturn serve --demo")
        with (self._folder / "server.log").open("a", encoding="utf-8") as log:
            self._server = subprocess.Popen(
                ["bash", "-c", f"{_KNOWN}exec {command} --port {public} --management-port {management}"],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
            )
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not _is_ready(management):
            if self._server.poll() is not None or time.monotonic() > deadline:
                said = (self._folder / "server.log").read_text(encoding="utf-8")
                raise AssertionError(f"{command} does not serve:\n{said}")
            time.sleep(0.05)

    def _stop(self) -> None:
        """End the server as an operator would; it has to leave with 0 (RE-03)."""
        if self._server is None:
            return
        self._server.terminate()
        status = self._server.wait(DEADLINE_SECONDS)
        assert status == 0, (self._folder / "server.log").read_text(encoding="utf-8")
        self._server = None


def _is_ready(port: str) -> bool:
    connection = HTTPConnection("127.0.0.1", int(port), timeout=1)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == HTTPStatus.OK
    except (HTTPException, OSError):
        return False
    finally:
        connection.close()
