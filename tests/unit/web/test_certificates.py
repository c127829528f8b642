"""The files of the certificate and its key: what cannot be used is told by its name."""

import asyncio
import threading

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from authority import Authority
from keyturn.core.errors import ConfigError
from keyturn.web import tls
from keyturn.web.tls import Certificates


@pytest.fixture
def authority(tmp_path):
    made = Authority(tmp_path)
    made.issue()
    return made


def refused(authority):
    """Read a pair that cannot be used and give what is said."""
    with pytest.raises(ConfigError) as caught:
        Certificates(authority.certificate, authority.key)
    [told] = caught.value.problems
    return told


@pytest.mark.parametrize("name", ["certificate", "key"])
def test_a_missing_file(authority, name):
    """The file that is missing is named (HT-09)."""
    path = getattr(authority, name)
    path.unlink()
    assert refused(authority) == f"tls.{name}: {path}: No such file or directory"


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_passphrase(authority, form):
    """A key with a passphrase is called that (HT-09)."""
    key = load_pem_private_key(authority.key.read_bytes(), None)
    authority.key.write_bytes(key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"x")))
    assert refused(authority) == f"tls.key: {authority.key} has a passphrase; give a key without one"


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o646])
def test_a_key_for_all_to_read(authority, mode):
    """A key that others may read is refused at start (HT-07)."""
    authority.key.chmod(mode)
    assert f"{authority.key} may be read by others: chmod o-rwx" in refused(authority)


def test_a_key_for_all_to_read_at_reload(authority):
    """At a reload such a key leaves the old pair in place until it is for its owner only (HT-07)."""
    certificates = Certificates(authority.certificate, authority.key)
    before = certificates.context
    authority.issue()
    authority.key.chmod(0o644)
    assert not certificates.reload_if_changed()
    assert certificates.context is before
    authority.key.chmod(0o600)
    assert certificates.reload_if_changed()
    assert certificates.context is not before


async def test_files_are_looked_at_beside_the_event_loop(authority, monkeypatch):
    """RE-10: a volume that hangs while the files are looked at holds a thread and not the server."""
    monkeypatch.setattr(tls, "WATCH_SECONDS", 0)
    hanging, mended, freed = asyncio.Event(), threading.Event(), asyncio.Queue()
    certificates, loop = Certificates(authority.certificate, authority.key), asyncio.get_running_loop()

    def hang():
        loop.call_soon_threadsafe(hanging.set)
        loop.call_soon_threadsafe(freed.put_nowait, mended.wait(5))

    monkeypatch.setattr(certificates, "reload_if_changed", hang)
    watching = asyncio.create_task(certificates.watch())
    await hanging.wait()  # comes through in time only if the loop turns meanwhile
    mended.set()
    assert await freed.get() is True
    watching.cancel()
