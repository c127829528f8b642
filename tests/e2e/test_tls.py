"""TLS on the public listener of a running server: what speaks to it, what does not, and new certificates."""

import signal
import socket
import ssl
import subprocess
import threading
import warnings
from datetime import timedelta
from http.client import HTTPSConnection

import pytest

from authority import Authority
from e2e.servers import FORM, SOON_SECONDS, ask, run, serving, within


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Certificates of our own."""
    made = Authority(tmp_path_factory.mktemp("ca"))
    made.issue()
    return made


@pytest.fixture(scope="module")
def node(authority, tmp_path_factory):
    """A demo that speaks TLS and takes a dozen connections of one address."""
    folder = tmp_path_factory.mktemp("tls")
    environ = {
        "KEYTURN_TLS__CERTIFICATE": str(authority.certificate),
        "KEYTURN_TLS__KEY": str(authority.key),
        "KEYTURN_LIMITS__CONNECTIONS_PER_ADDRESS": "12",
    }
    with serving(folder / "data", folder / "home", environ=environ, warm=True) as made:
        yield made


@pytest.fixture
def trusting(authority):
    """A client's context that trusts our authority and nobody else."""
    return ssl.create_default_context(cafile=str(authority.file))


def port_of(node):
    """Give the public port."""
    return int(node.url.rpartition(":")[2])


def connect(node, context):
    """Shake hands."""
    raw = socket.create_connection(("127.0.0.1", port_of(node)), timeout=15)
    return context.wrap_socket(raw, server_hostname="localhost")


def token(node, connection):
    """Ask for a token over a connection and give the status."""
    connection.request("POST", "/o/acme/oauth2/token", node.client("oauth2").form(), {"Content-Type": FORM})
    answer = connection.getresponse()
    answer.read()
    return answer.status


def test_curl_and_python(node, authority, trusting):
    """TLS 1.2 and 1.3 clients that trust the authority get tokens, and every URL begins with https."""
    assert node.url.startswith("https://")
    said = subprocess.run(
        [
            "curl",
            "-sS",
            "--cacert",
            str(authority.file),
            f"{node.url}/o/acme/.well-known/openid-configuration",
        ],
        capture_output=True,
        check=True,
    )
    assert f'"issuer":"{node.url}/o/acme"'.encode() in said.stdout
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        trusting.minimum_version = trusting.maximum_version = version
        connection = HTTPSConnection("localhost", port_of(node), context=trusting)
        assert token(node, connection) == 200
        assert token(node, connection) == 200
        connection.close()


def test_alpn(node, trusting):
    """RFC 7301: http/1.1 is chosen among what a client offers, h2 included."""
    trusting.set_alpn_protocols(["h2", "http/1.1"])
    with connect(node, trusting) as secured:
        assert secured.selected_alpn_protocol() == "http/1.1"


@pytest.mark.parametrize(
    ("version", "ciphers"),
    [
        (ssl.TLSVersion.TLSv1, "ALL:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA256"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES256-SHA"),
    ],
)
def test_old_clients(node, trusting, version, ciphers):
    """RFC 9325: versions before 1.2, and ciphers without forward secrecy or AEAD, are refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        trusting.minimum_version = ssl.TLSVersion.TLSv1
        trusting.maximum_version = version
    trusting.set_ciphers(ciphers)
    with pytest.raises(OSError):  # noqa: PT011  # an alert, or a closed connection
        connect(node, trusting)


def test_plain_http(node):
    """A plain HTTP request to the TLS port gets no answer, and the management listener stays plain."""
    with socket.create_connection(("127.0.0.1", port_of(node)), timeout=15) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert not plain.recv(100).startswith(b"HTTP")
    assert node.management.startswith("http://")
    assert b'reason="tls_handshake"' in ask(f"{node.management}/metrics").body


def test_cap_before_the_handshake(node, trusting):
    """HT-05: connections that never shake hands count, and over the cap of an address none is begun."""
    silent = [socket.create_connection(("127.0.0.1", port_of(node)), timeout=15) for _ in range(12)]
    try:
        within(SOON_SECONDS, lambda: not reachable(node, trusting))  # an alert, or a closed connection
        assert b'reason="address_full"' in ask(f"{node.management}/metrics").body
    finally:
        for each in silent:
            each.close()
    within(SOON_SECONDS, lambda: reachable(node, trusting))


@pytest.mark.slow
def test_handshake_is_bounded(node):
    """HT-05: a client that does not shake hands is let go, and gives its place back."""
    with socket.create_connection(("127.0.0.1", port_of(node)), timeout=20) as silent:
        assert silent.recv(1) == b""


def reachable(node, context):
    """Tell whether a handshake succeeds."""
    try:
        connect(node, context).close()
    except OSError:
        return False
    return True


def serial(node, context):
    """Give the serial number of the certificate that a new connection is shown."""
    with connect(node, context) as secured:
        return int(secured.getpeercert()["serialNumber"], 16)


@pytest.mark.slow
def test_rotation_under_load(node, authority, trusting):
    """A new certificate serves new connections within seconds; no request fails, and open ones go on."""
    stop, failed, served = threading.Event(), [], []

    def load(kept):
        connection = None
        while not stop.is_set():
            try:
                connection = connection or HTTPSConnection("localhost", port_of(node), context=trusting)
                served.append(token(node, connection))
            except OSError as error:
                failed.append(repr(error))
                connection = None
            if connection and not kept:
                connection.close()
                connection = None
        if connection:
            connection.close()

    workers = [threading.Thread(target=load, args=(number % 2 == 0,)) for number in range(6)]
    for worker in workers:
        worker.start()
    try:
        for _ in range(3):
            expected = authority.issue()
            within(SOON_SECONDS, lambda expected=expected: serial(node, trusting) == expected)
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    assert failed == []
    assert set(served) == {200}


@pytest.mark.slow
def test_broken_pair_and_sighup(node, authority, trusting):
    """A pair that cannot be used leaves the old one in place and is told; SIGHUP reads again at once."""
    before = serial(node, trusting)
    good = authority.certificate.read_bytes(), authority.key.read_bytes()
    authority.key.write_bytes(authority.make()[0])
    within(SOON_SECONDS, lambda: "tls_not_reloaded" in node.log.read_text())
    assert serial(node, trusting) == before
    authority.certificate.write_bytes(good[0])
    authority.key.write_bytes(good[1])
    node.process.send_signal(signal.SIGHUP)
    expected = authority.issue()
    within(SOON_SECONDS, lambda: serial(node, trusting) == expected)
    assert "PRIVATE" not in node.log.read_text()


def test_a_certificate_that_has_expired(tmp_path):
    """HT-09: a server starts with a certificate that has expired, and one line of its log warns of it."""
    made = Authority(tmp_path / "ca")
    made.issue(age=timedelta(days=1))
    environ = {"KEYTURN_TLS__CERTIFICATE": str(made.certificate), "KEYTURN_TLS__KEY": str(made.key)}
    with serving(tmp_path / "data", tmp_path / "home", environ=environ, warm=True) as node:
        [said] = (line for line in node.events() if line["event"] == "tls_certificate_not_good")
    assert said["level"] == "warning"
    assert said["begins_at"] < said["expires_at"] < said["timestamp"]


@pytest.mark.slow
def test_a_stop_breaks_no_request(authority, trusting, tmp_path):
    """RE-03: told to stop under load, it gives each client that reached it a token, and exits with 0."""
    environ = {"KEYTURN_TLS__CERTIFICATE": str(authority.certificate), "KEYTURN_TLS__KEY": str(authority.key)}
    with serving(tmp_path / "data", tmp_path / "home", environ=environ, warm=True) as node:
        failed, served = [], []

        def load():
            while not failed:
                connection = HTTPSConnection("localhost", port_of(node), context=trusting, timeout=20)
                try:
                    served.append(token(node, connection))
                except ConnectionRefusedError:
                    return
                except OSError as error:
                    failed.append(repr(error))
                finally:
                    connection.close()

        workers = [threading.Thread(target=load) for _ in range(12)]
        for worker in workers:
            worker.start()
        within(SOON_SECONDS, lambda: len(served) > 50)
        node.process.send_signal(signal.SIGTERM)
        for worker in workers:
            worker.join()
        assert node.process.wait(30) == 0
        assert failed == []
        assert set(served) == {200}
        assert "Traceback" not in node.log.read_text()


def test_a_broken_pair_at_start(tmp_path, authority):
    """A start with a pair that cannot be used exits with 3 and says which files."""
    broken = tmp_path / "broken.pem"
    broken.write_text("no PEM")
    said = run(
        tmp_path,
        *("serve", "--demo", "--data", str(tmp_path / "data"), "--port", "0", "--management-port", "0"),
        environ={"KEYTURN_TLS__CERTIFICATE": str(broken), "KEYTURN_TLS__KEY": str(authority.key)},
    )
    assert said.code == 3
    assert "tls.certificate and tls.key: not a PEM" in said.err
