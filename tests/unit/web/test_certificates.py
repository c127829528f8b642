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
from structlog.testing import capture_logs

from authority import Authority
from ground import HandClock
from keyturn.core.clock import SystemClock
from keyturn.core.errors import ConfigError
from keyturn.web import tls
from keyturn.web.tls import Certificates

CLOCK = SystemClock()


@pytest.fixture
def authority(tmp_path):
    made = Authority(tmp_path)
    made.issue()
    return made


def refused(authority):
    """Read a pair that cannot be used and give what is said."""
    with pytest.raises(ConfigError) as caught:
        Certificates(authority.certificate, authority.key, CLOCK)
    [told] = caught.value.problems
    return told


@pytest.mark.parametrize("name", ["certificate", "key"])
def test_a_missing_file(authority, name):
    """The file that is missing is named (HT-09)."""
    path = getattr(authority, name)
    path.unlink()
    assert refused(authority) == f"tls.{name}: {path}: No such file or directory"


@pytest.mark.parametrize("name", ["certificate", "key"])
def test_a_file_without_an_end(authority, name):
    """HT-01: a file that is far too long to be a chain or a key is named, and not read to its end."""
    path = getattr(authority, name)
    path.unlink()
    path.symlink_to("/dev/zero")
    assert refused(authority) == f"tls.{name}: {path} has more than 1048576 bytes"


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
    certificates = Certificates(authority.certificate, authority.key, CLOCK)
    before = certificates.context
    authority.issue()
    authority.key.chmod(0o644)
    assert not certificates.reload_if_changed()
    assert certificates.context is before
    authority.key.chmod(0o600)
    assert certificates.reload_if_changed()
    assert certificates.context is not before


@pytest.mark.parametrize("days", [-1, 0, 1], ids=["not good yet", "good", "expired"])
def test_a_certificate_that_is_not_good_now(authority, days):
    """HT-09: at the start and at a reload one line warns of a certificate that nobody believes today."""
    clock = HandClock()
    certificates = Certificates(authority.certificate, authority.key, clock)
    clock.advance((certificates.expires_at - clock.now()).total_seconds() - 60 + days * 86_400)
    with capture_logs() as lines:
        certificates.warn_unless_good()
        started = list(lines)
        assert certificates.reload()
    warning = {
        "event": "tls_certificate_not_good",
        "log_level": "warning",
        "certificate": str(authority.certificate),
        "begins_at": certificates.begins_at.isoformat(),
        "expires_at": certificates.expires_at.isoformat(),
    }
    assert started == ([warning] if days else [])
    assert [line for line in lines if line["event"] != "tls_reloaded"] == started * 2


async def test_files_are_looked_at_beside_the_event_loop(authority, monkeypatch):
    """RE-10: a volume that hangs while the files are looked at holds a thread and not the server."""
    monkeypatch.setattr(tls, "WATCH_SECONDS", 0)
    hanging, mended, freed = asyncio.Event(), threading.Event(), asyncio.Queue()
    certificates, loop = Certificates(authority.certificate, authority.key, CLOCK), asyncio.get_running_loop()

    def hang():
        loop.call_soon_threadsafe(hanging.set)
        loop.call_soon_threadsafe(freed.put_nowait, mended.wait(5))

    monkeypatch.setattr(certificates, "reload_if_changed", hang)
    watching = asyncio.create_task(certificates.watch())
    await hanging.wait()  # comes through in time only if the loop turns meanwhile
    mended.set()
    assert await freed.get() is True
    watching.cancel()
