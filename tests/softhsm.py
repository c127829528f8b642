"""A PKCS#11 token in software, each test's its own: SoftHSM, where it is installed.

Debian: apt-get install softhsm2. Its library reads its configuration once in each process, so a process has
one folder of tokens, and a token is told from others by its label.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import pytest

PIN = "1234"
PLACES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)


class Device:
    """A token that can be taken away and put back, with all its keys."""

    def __init__(self, folder, label):
        """Be there."""
        self.folder = folder
        self.label = label
        self.environ = {"SOFTHSM2_CONF": str(folder / "softhsm2.conf")}
        self.module = library()

    @contextlib.contextmanager
    def away(self):
        """Have no token for the block, as when a cable is pulled."""
        tokens, gone = self.folder / "tokens", self.folder / "gone"
        tokens.rename(gone)
        try:
            yield
        finally:
            gone.rename(tokens)


def library():
    """Find the library, or None."""
    return next((Path(place) for place in PLACES if Path(place).is_file()), None)


def missing():
    """Say what keeps the tests from running; None where nothing does."""
    if library() is None or shutil.which("softhsm2-util") is None:
        return "SoftHSM is not installed (softhsm2)"
    return None if find_spec("pkcs11") else "keyturn[pkcs11] is not installed"


@pytest.fixture(scope="session")
def hsm_folder():
    """One folder of tokens for all tests of this process."""
    if why := missing():
        pytest.skip(why)
    folder = Path(tempfile.mkdtemp(prefix="softhsm-"))
    (folder / "tokens").mkdir()
    lines = f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
    (folder / "softhsm2.conf").write_text(lines)
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    yield folder
    if before is None:
        del os.environ["SOFTHSM2_CONF"]
    else:
        os.environ["SOFTHSM2_CONF"] = before
    shutil.rmtree(folder)


@pytest.fixture
def device(hsm_folder):
    """A fresh token."""
    label = f"keyturn {uuid4().hex[:8]}"
    command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", PIN]
    subprocess.run(command, check=True, capture_output=True)
    return Device(hsm_folder, label)
