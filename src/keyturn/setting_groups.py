"""Settings that belong together, each group a table of the configuration file; ``config`` reads them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

_DAY_SECONDS = 86_400

Count = Annotated[int, Field(ge=1, le=1_000_000_000)]


class RateSettings(BaseModel):
    """How many requests a minute, and how many of them may come at once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    per_minute: Count
    burst: Count


class LimitSettings(BaseModel):
    """How much one caller may take; a request over a limit is refused and costs nothing more."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    client: RateSettings = RateSettings(per_minute=60_000, burst=10_000)
    user: RateSettings = RateSettings(per_minute=6_000, burst=1_000)
    address: RateSettings = RateSettings(per_minute=60_000, burst=10_000)
    organisation: RateSettings = RateSettings(per_minute=600_000, burst=100_000)
    connections: Count = 10_000
    connections_per_address: Count = 256
    body_bytes: Annotated[int, Field(ge=1_024, le=16 * 1024 * 1024)] = 64 * 1024

    def share(self, workers: int) -> "LimitSettings":
        """Give one of several workers its part of what each of them counts for itself."""
        return self.model_copy(update={"connections": -(-self.connections // workers)})

    def rates(self) -> dict[str, RateSettings]:
        """Give the rate of each kind of counter."""
        return {
            "client": self.client,
            "user": self.user,
            "address": self.address,
            "organisation": self.organisation,
        }


class TlsSettings(BaseModel):
    """The files of the public listener's certificate and key, PEM; both or none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    certificate: Path | None = None
    key: Path | None = None

    def pair(self) -> tuple[Path, Path] | None:
        """Give both, or None for plain HTTP."""
        return None if self.certificate is None or self.key is None else (self.certificate, self.key)


class KeySettings(BaseModel):
    """How signing keys live."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rotate_days: Annotated[int, Field(ge=0, le=3_650)] = 90
    signer: Literal["software", "pkcs11"] = "software"

    def problems(self, jwks_cache_seconds: int) -> Iterator[str]:
        """Tell what is wrong with them beside how long key sets are cached (TK-14)."""
        if 0 < self.rotate_days * _DAY_SECONDS < 2 * jwks_cache_seconds:
            yield "keys.rotate_days: a key has to sign for at least twice jwks_cache_seconds"


class Pkcs11Settings(BaseModel):
    """Where the token is that keeps signing keys, and how it is opened."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    module: Path | None = None
    token: str | None = None
    pin: SecretStr | None = None
    sessions: Annotated[int, Field(ge=1, le=64)] = 4

    def problems(self, signer: str) -> Iterator[str]:
        """Tell what is missing of it beside where keys are made."""
        if (self.module is None) != (self.token is None):
            yield "pkcs11.module and pkcs11.token come together"
        elif signer == "pkcs11" and self.module is None:
            yield "keys.signer: pkcs11 needs pkcs11.module and pkcs11.token"


class PasswordSettings(BaseModel):
    """What hashing a password costs: never less than PW-02 asks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    memory_kib: Annotated[int, Field(ge=19 * 1024, le=1024 * 1024)] = 19 * 1024
    passes: Annotated[int, Field(ge=2, le=100)] = 2
    threads: Annotated[int, Field(ge=1, le=64)] = 2

    def share(self, workers: int) -> "PasswordSettings":
        """Give one of several workers its part of the threads."""
        return self.model_copy(update={"threads": max(1, self.threads // workers)})


class AuditSettings(BaseModel):
    """How the audit trail is signed, and how long it is kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    checkpoint_minutes: Annotated[int, Field(ge=1, le=1_440)] = 5
    retention_days: Annotated[int, Field(ge=0, le=36_500)] = 0
