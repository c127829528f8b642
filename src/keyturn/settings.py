"""Everything an operator can set, as values; ``config`` reads and checks them.

Nothing here needs pydantic: what serves is handed its settings checked (``cli/handover.py``).
"""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from keyturn.core.errors import ConfigError
from keyturn.core.secret import Secret
from keyturn.secret_sources import Argv, read_kept_key, run_for_secret
from keyturn.setting_groups import (
    AuditSettings,
    KeySettings,
    LeakSettings,
    LimitSettings,
    NoticeSettings,
    PasswordSettings,
    Pkcs11Settings,
    TlsSettings,
)
from keyturn.setting_types import STRICT, BaseUrl, Hidden, Networks, Port, Within, Words

ALWAYS_SERVED = "oauth2"
NO_PUBLIC_URL = "public_url is required: where callers reach this deployment; issuers begin with it"
NO_SETTINGS = ("given", "master_key_told")
"""What is kept with the settings and is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything an operator can set, checked; made by ``load_settings``.

    ``dialect`` holds a value for every deployment setting that a dialect's table declares.

    Args:
        given: Which of them, or of their tables, were given and not left at their default.
        master_key_told: What ``master_key_command`` printed, once it was run.
    """

    __pydantic_config__: ClassVar[Any] = STRICT

    public_url: BaseUrl | None = None
    data: Path = Path("keyturn-data")
    database_url: Hidden | None = None
    migrate_at_start: bool = True
    master_key: Hidden | None = None
    master_key_file: Path | None = None
    master_key_command: Argv = ()
    host: str = "127.0.0.1"
    port: Port = 8480
    workers: Annotated[int, Within(1, 64)] = 1
    management_host: str = "127.0.0.1"
    management_port: Port = 8481
    trusted_proxies: Networks = ()
    tls: TlsSettings = field(default_factory=TlsSettings)
    dialects: Words = (ALWAYS_SERVED,)
    admin_api: bool = True
    dialect: dict[str, dict[str, Any]] = field(default_factory=dict)
    log_format: Literal["auto", "text", "json"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    limits: LimitSettings = field(default_factory=LimitSettings)
    keys: KeySettings = field(default_factory=KeySettings)
    pkcs11: Pkcs11Settings = field(default_factory=Pkcs11Settings)
    passwords: PasswordSettings = field(default_factory=PasswordSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    leaks: LeakSettings = field(default_factory=LeakSettings)
    notices: NoticeSettings = field(default_factory=NoticeSettings)
    jwks_cache_seconds: Annotated[int, Within(1, 86_400)] = 300
    status_lists: bool = False
    status_list_seconds: Annotated[int, Within(1, 86_400)] = 60
    shutdown_seconds: Annotated[int, Within(0, 3_600)] = 20
    given: frozenset[str] = frozenset()
    master_key_told: Hidden | None = None

    @property
    def master_key_path(self) -> Path:
        """Where the master key is kept when it is not given."""
        return self.data / "master.key"

    def store_url(self) -> str:
        """Name the database: the one given, or the SQLite file in the data folder."""
        if self.database_url is not None:
            return self.database_url.reveal()
        return f"sqlite:///{self.data.absolute() / 'keyturn.db'}"

    def public_url_text(self) -> str:
        """Give the public URL where one is needed.

        Raises:
            ConfigError: There is none.
        """
        if self.public_url is None:
            raise ConfigError([NO_PUBLIC_URL])
        return self.public_url

    @property
    def master_key_given(self) -> bool:
        """Tell whether the master key comes from anywhere but the data folder."""
        return self.master_key is not None or bool(self.master_key_command)

    def master_key_text(self) -> str:
        """Give the text of the master key: the one given, or the one kept in the data folder.

        A command is run once, and its answer goes with these settings to every worker.

        Raises:
            ConfigError: There is none, others than its owner may read the kept one, or the command failed.
        """
        if self.master_key is not None:
            return self.master_key.reveal()
        if self.master_key_command:
            if self.master_key_told is None:
                told = Secret(run_for_secret("master_key_command", self.master_key_command))
                object.__setattr__(self, "master_key_told", told)  # the one thing learnt later
                return told.reveal()
            return self.master_key_told.reveal()
        return read_kept_key(self.master_key_path)

    def master_key_place(self) -> Path | None:
        """Name the file that the master key comes from, where it is one."""
        return self.master_key_file if self.master_key_given else self.master_key_path

    def shown(self) -> dict[str, Any]:
        """Give every setting as plain JSON values, each secret as ``***`` or null."""
        values: dict[str, Any] = plain(self)
        for name in SECRETS:
            shown, given = values, self
            *groups, last = name.split(".")
            for group in groups:
                shown, given = shown[group], getattr(given, group)
            shown[last] = None if getattr(given, last) is None else "***"
        return values


def plain(value: Any) -> Any:
    """Give settings as plain JSON values; a secret stays what it is."""
    if dataclasses.is_dataclass(value):
        named = (each.name for each in dataclasses.fields(value))
        return {name: plain(getattr(value, name)) for name in named if name not in NO_SETTINGS}
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


SECRETS = ("database_url", "master_key", "pkcs11.pin", "notices.smtp_password")
"""Settings that do not print; each may be given as ``<name>_file``, the file that holds it."""
