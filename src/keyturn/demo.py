"""``keyturn serve --demo``: what it shows, and where its credentials are kept.

The demo is the production server with its settings chosen and two organisations made; the same code, store
and checks. ``demo.json`` in its data folder is the only place where its credentials stand in clear text.
The interface is ../docs/demo.md.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import msgspec

from keyturn.app import LocalServices, configured_dialects, make_master_key, write_private
from keyturn.core.admin_records import BASE as ADMIN_BASE
from keyturn.core.errors import ConfigError, OperatorError
from keyturn.seeding import MAIN, OTHER, seed_admin_token, seed_dialect, seed_organisations
from keyturn.serving import bind, serve
from keyturn.settings import Settings
from keyturn.wire.tables import Dialect


def run(settings: Settings, environ: Mapping[str, str]) -> None:
    """Serve a demo until it is stopped.

    Args:
        settings: A demo's; ``data`` and ``public_url`` may not be given.

    Raises:
        ConfigError: An address is taken, or the folder or the database is no demo's.
    """
    listeners = bind(settings)
    data = settings.data if "data" in settings.given else Path(tempfile.mkdtemp(prefix="keyturn-demo-"))
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    _refuse_production(data)
    with _turn(data):
        make_master_key(data / "master.key")
        kept = _read(data)
        public_url = settings.public_url or kept.get("base_url") or listeners.public_url
    settings = dataclasses.replace(settings, data=data, public_url=public_url)

    with _running(data) as first:
        # A second node of a demo must not take the place of the first in what programs rely on.
        management_url = listeners.management_url if first else kept.get("management_url")

        async def prepare(local: LocalServices) -> None:
            with _turn(data):
                if settings.database_url is not None:
                    await require_own_database(local, data)
                url = management_url or listeners.management_url
                await _seed(local, data, public_url, url, admin_api=settings.admin_api)

        def announce() -> None:
            _remember(data, environ)
            _print(configured_dialects(settings), _moved(_read(data), public_url, listeners.public_url), data)

        serve(settings, listeners, prepare=prepare, announce=announce, create=True)


def show(data: Path | None, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Give the content of a demo's ``demo.json``; without a folder that of the demo started last.

    Raises:
        OperatorError: There is none.
    """
    folder = data or latest_data(environ)
    shown = _read(folder) if folder else {}
    if not shown:
        raise OperatorError(
            f"no demo in {folder}" if folder else "no demo was started yet: keyturn serve --demo"
        )
    return shown


def kept_url(data: Path) -> str | None:
    """Give the public URL that a demo keeps from start to start, if it has one."""
    url = _read(data).get("base_url")
    return url if isinstance(url, str) else None


def latest_data(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Name the data folder of the demo that was started last by this user, if it is still there."""
    try:
        folder = Path(_pointer(environ).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    return folder if (folder / "demo.json").is_file() else None


def _pointer(environ: Mapping[str, str]) -> Path:
    state = environ.get("XDG_STATE_HOME") or Path(environ.get("HOME", "/nonexistent")) / ".local" / "state"
    return Path(state) / "keyturn" / "latest-demo"


def _remember(data: Path, environ: Mapping[str, str]) -> None:
    """Note the folder for later commands; a home that cannot be written only costs that comfort."""
    pointer = _pointer(environ)
    with contextlib.suppress(OSError):
        pointer.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(pointer, str(data.resolve()).encode())


def _refuse_production(data: Path) -> None:
    """Refuse a folder that holds a deployment which no demo made: its clients would get demo secrets."""
    if (data / "keyturn.db").exists() and not (data / "demo.lock").exists():
        raise ConfigError([f"{data} holds a deployment that is no demo; give --demo a folder of its own"])


async def require_own_database(local: LocalServices, data: Path) -> None:
    """Refuse a database that somebody uses and this folder's demo did not make.

    Its URL may stand in the environment of a production machine, and the master key as well.

    Raises:
        ConfigError: There are organisations or admin tokens in it.
    """
    made = {item["uuid"] for item in _read(data).get("organisations", ())}
    held = {item.id for item in await local.deployment.organisations()}
    if not made & held and (held or await local.deployment.admin_tokens()):
        problem = "database_url: holds a deployment that is no demo of this folder; give --demo an empty one"
        raise ConfigError([problem])


@contextlib.contextmanager
def _turn(data: Path) -> Iterator[None]:
    """Let one process at a time prepare a folder: two nodes may start on it together."""
    with _private(data / "demo.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _running(data: Path) -> Iterator[bool]:
    """Tell whether no other node runs on the folder, and be the first one from here on."""
    with _private(data / "demo.running") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _private(path: Path) -> IO[str]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600), "w", encoding="ascii")


def _read(data: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = msgspec.json.decode((data / "demo.json").read_bytes(), type=dict[str, Any])
    except FileNotFoundError:
        return {}
    except PermissionError:
        raise  # told as for everything in the folder: somebody else's
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError([f"{data / 'demo.json'} cannot be read: {error}"]) from None
    return content


async def _seed(
    local: LocalServices, data: Path, public_url: str, management_url: str, *, admin_api: bool
) -> None:
    """Make what is not there yet: organisations, and for each dialect its fixtures with fresh secrets."""
    kept = _read(data)
    if kept.get("base_url") not in {None, public_url}:
        kept = _moved(kept, kept["base_url"], public_url)
    organisations = await seed_organisations(local)
    dialects, other = kept.get("dialects", {}), kept.get("other", {})
    for name, dialect in local.dialects.items():
        if name not in dialects:
            made = await seed_dialect(local, dialect, organisations, public_url)
            dialects[name] = made[MAIN]
            if dialect.demo.other:
                other[name] = made[OTHER]
    shown = {
        "base_url": public_url,
        "management_url": management_url,
        **({"admin": await _admin(local, kept, public_url)} if admin_api else {}),
        "organisations": [
            {"uuid": item.id, "name": item.name, "slug": item.slug, "api_key": item.api_key}
            for item in organisations.values()
        ],
        "dialects": dialects,
        "other": other,
    }
    write_private(data / "demo.json", json.dumps(shown, indent=2).encode() + b"\n")


async def _admin(local: LocalServices, kept: dict[str, Any], public_url: str) -> dict[str, str]:
    """Give an administrator, the one that there was before if there was one."""
    token = kept.get("admin", {}).get("token") or await seed_admin_token(local)
    return {"url": public_url + ADMIN_BASE, "token": token}


def _moved(value: Any, before: str, after: str) -> Any:
    """Give the same content with every URL under another ``public_url``."""
    if isinstance(value, dict):
        return {key: _moved(item, before, after) for key, item in value.items()}
    if isinstance(value, list):
        return [_moved(item, before, after) for item in value]
    if isinstance(value, str) and (value == before or value.startswith(before + "/")):
        return after + value[len(before) :]
    return value


def curl_line(dialect: Dialect, members: Mapping[str, Any]) -> str:
    """Fill a dialect's curl line with the members of its demo entry."""
    return dialect.demo.curl.format(**members)


def _print(dialects: Mapping[str, Dialect], shown: dict[str, Any], data: Path) -> None:
    out = [
        f"Keyturn demo at {shown['base_url']} (management {shown['management_url']})",
        f"Data in {data}; credentials: keyturn demo show --data {data}",
        *([f"Admin API at {shown['admin']['url']}"] if "admin" in shown else []),
        "",
        f"{'DIALECT':<12} {'CONTRACT':<28} ORGANISATION",
        *(f"{name:<12} {dialect.title:<28} {MAIN}" for name, dialect in dialects.items()),
    ]
    for name, dialect in dialects.items():
        out += ["", f"# {name}", curl_line(dialect, shown["dialects"][name])]
    sys.stdout.write("\n".join(out) + "\n\n")
    sys.stdout.flush()
