"""Settings that belong together, each group a table of the configuration file; ``config`` reads them."""

import dataclasses
import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from keyturn.setting_types import MAX_PORT, STRICT, After, Before, Hidden, Within, read_words

_DAY_SECONDS = 86_400

Count = Annotated[int, Within(1, 1_000_000_000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateSettings:
    """How many requests a minute, and how many of them may come at once."""

    __pydantic_config__: ClassVar[Any] = STRICT

    per_minute: Count
    burst: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """How much one caller may take; a request over a limit is refused and costs nothing more."""

    __pydantic_config__: ClassVar[Any] = STRICT

    client: RateSettings = RateSettings(per_minute=60_000, burst=10_000)
    user: RateSettings = RateSettings(per_minute=6_000, burst=1_000)
    address: RateSettings = RateSettings(per_minute=60_000, burst=10_000)
    organisation: RateSettings = RateSettings(per_minute=600_000, burst=100_000)
    connections: Count = 10_000
    connections_per_address: Count = 256
    body_bytes: Annotated[int, Within(1_024, 16 * 1024 * 1024)] = 64 * 1024

    def share(self, workers: int) -> "LimitSettings":
        """Give one of several workers its part of what each of them counts for itself."""
        return dataclasses.replace(self, connections=-(-self.connections // workers))

    def rates(self) -> dict[str, RateSettings]:
        """Give the rate of each kind of counter."""
        return {
            "client": self.client,
            "user": self.user,
            "address": self.address,
            "organisation": self.organisation,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """The files of the public listener's certificate and key, PEM; both or none."""

    __pydantic_config__: ClassVar[Any] = STRICT

    certificate: Path | None = None
    key: Path | None = None

    def pair(self) -> tuple[Path, Path] | None:
        """Give both, or None for plain HTTP."""
        return None if self.certificate is None or self.key is None else (self.certificate, self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySettings:
    """How signing keys live."""

    __pydantic_config__: ClassVar[Any] = STRICT

    rotate_days: Annotated[int, Within(0, 3_650)] = 90
    signer: Literal["software", "pkcs11"] = "software"

    def problems(self, jwks_cache_seconds: int) -> Iterator[str]:
        """Tell what is wrong with them beside how long key sets are cached (TK-14)."""
        if 0 < self.rotate_days * _DAY_SECONDS < 2 * jwks_cache_seconds:
            yield "keys.rotate_days: a key has to sign for at least twice jwks_cache_seconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pkcs11Settings:
    """Where the token is that keeps signing keys, and how it is opened."""

    __pydantic_config__: ClassVar[Any] = STRICT

    module: Path | None = None
    token: str | None = None
    pin: Hidden | None = None
    sessions: Annotated[int, Within(1, 64)] = 4

    def problems(self, signer: str) -> Iterator[str]:
        """Tell what is missing of it beside where keys are made."""
        if (self.module is None) != (self.token is None):
            yield "pkcs11.module and pkcs11.token come together"
        elif signer == "pkcs11" and self.module is None:
            yield "keys.signer: pkcs11 needs pkcs11.module and pkcs11.token"


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordSettings:
    """What hashing a password costs: never less than PW-02 asks."""

    __pydantic_config__: ClassVar[Any] = STRICT

    memory_kib: Annotated[int, Within(19 * 1024, 1024 * 1024)] = 19 * 1024
    passes: Annotated[int, Within(2, 100)] = 2
    threads: Annotated[int, Within(1, 64)] = 2

    def share(self, workers: int) -> "PasswordSettings":
        """Give one of several workers its part of the threads."""
        return dataclasses.replace(self, threads=max(1, self.threads // workers))


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """How the audit trail is signed, and how long it is kept."""

    __pydantic_config__: ClassVar[Any] = STRICT

    checkpoint_minutes: Annotated[int, Within(1, 1_440)] = 5
    retention_days: Annotated[int, Within(0, 36_500)] = 0


def _json_object(value: Any) -> Any:
    """Read the JSON that an environment variable holds for a table."""
    try:
        return msgspec.json.decode(value, type=dict[str, str]) if isinstance(value, str) else value
    except msgspec.DecodeError:
        raise ValueError("should be a JSON object of key ids and PEM texts") from None


def _pem_keys(keys: dict[str, str]) -> dict[str, str]:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    for key_id, pem in keys.items():
        try:
            key = load_pem_public_key(pem.encode())
        except ValueError:
            key = None
        fits = isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
        if not fits:
            raise ValueError(f"should be public keys of P-256 in PEM; that of {key_id} is none")
    return keys


def _hosts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    for host in hosts:
        if _HOST.fullmatch(host) is None:
            raise ValueError(f"should be host names such as hooks.example.com or *.example.com, not {host!r}")
    return hosts


def _places(places: tuple[str, ...]) -> tuple[str, ...]:
    for place in places:
        host, colon, port = place.partition(":")
        _hosts((host,))
        if colon and not (_PORT.fullmatch(port) and int(port) <= MAX_PORT):
            raise ValueError(f"should name a port as in hooks.example.com:8443, not {place!r}")
    return places


def _loopback(addresses: tuple[str, ...]) -> tuple[str, ...]:
    for address in addresses:
        try:
            fits = ipaddress.ip_address(address).is_loopback
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(f"should be addresses of this machine such as 127.0.0.1, not {address!r}")
    return addresses


_PORT = re.compile(r"[1-9][0-9]{0,4}")
_HOST = re.compile(r"(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

PemKeys = Annotated[dict[str, str], Before(_json_object), After(_pem_keys)]
Hosts = Annotated[tuple[str, ...], Before(read_words), After(_hosts)]
Places = Annotated[tuple[str, ...], Before(read_words), After(_places)]
Loopback = Annotated[tuple[str, ...], Before(read_words), After(_loopback)]
Days = Annotated[tuple[Annotated[int, Within(1, 365)], ...], Before(read_words)]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakSettings:
    """Who may report that a secret was found in public; nobody, unless keys are given."""

    __pydantic_config__: ClassVar[Any] = STRICT

    public_keys: PemKeys = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeSettings:
    """Where notices may go, and when an expiry is told; nowhere, unless hosts or a mail server are given."""

    __pydantic_config__: ClassVar[Any] = STRICT

    hosts: Places = ()
    loopback: Loopback = ()
    ca_file: Path | None = None
    expiring_days: Days = (30, 7, 1)
    smtp_host: str | None = None
    smtp_port: Annotated[int, Within(1, 65_535)] = 587
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_user: str | None = None
    smtp_password: Hidden | None = None
    smtp_from: str | None = None
    mail_domains: Hosts = ()
    mails_a_day: Annotated[int, Within(1, 1_000_000)] = 200

    def problems(self) -> Iterator[str]:
        """Tell what is wrong with them together."""
        if self.smtp_host is not None and self.smtp_from is None:
            yield "notices.smtp_from: mail needs the address that it comes from"
        if self.smtp_security == "none" and self.smtp_host not in (None, "localhost", "127.0.0.1", "::1"):
            yield "notices.smtp_security: mail goes without TLS to this machine only"
