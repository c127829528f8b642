"""A certificate authority of our own, for tests that speak TLS: certificates that last an hour."""

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

AGE = dt.timedelta(minutes=5)
"""How long a certificate has been good."""


class Authority:
    """Makes certificates for this machine, and the file by which a client trusts them."""

    def __init__(self, folder: Path) -> None:
        """Begin with a root of its own, kept in ``folder`` as ``ca.pem``."""
        folder.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("Keyturn tests")
        root = self._build(self._name, self._key.public_key(), authority=True)
        self.file = folder / "ca.pem"
        self.file.write_bytes(root.public_bytes(Encoding.PEM))
        self.certificate = folder / "server.pem"
        self.key = folder / "server.key"

    def issue(self, name: str = "localhost", age: dt.timedelta = AGE) -> int:
        """Put a fresh certificate and key for this machine in place, whole, and give its serial number."""
        key, made = self.make(name, age)
        _swap(self.key, key)
        _swap(self.certificate, made.public_bytes(Encoding.PEM))
        return made.serial_number

    def make(self, name: str = "localhost", age: dt.timedelta = AGE) -> tuple[bytes, x509.Certificate]:
        """Make a key, as PEM, and its certificate, which has been good for some time or is no more."""
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return pem, self._build(_name(name), key.public_key(), authority=False, age=age)

    def _build(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, authority: bool, age: dt.timedelta = AGE
    ) -> x509.Certificate:
        begins_at = dt.datetime.now(dt.UTC) - age
        here = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins_at)
            .not_valid_after(begins_at + AGE + dt.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
            )
        )
        if authority:
            usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
            builder = builder.add_extension(usage, critical=True)
        else:
            builder = builder.add_extension(x509.SubjectAlternativeName(here), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _swap(path: Path, content: bytes) -> None:
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.chmod(0o600)
    part.replace(path)
