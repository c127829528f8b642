"""Where a command goes: to a server that is named, by a profile or by its URL, and with which admin token.

    # ~/.config/keyturn/profiles.toml, for its owner only
    [prod]
    server = "https://tokens.example"
    token_command = ["pass", "show", "keyturn/prod"]   # or token_file = "prod.token"; else a prompt asks
    ca_file = "ca.pem"                                  # instead of what the machine trusts

The token never comes by an argument: arguments are seen by every process and kept by the shell (HT-07).
"""

import os
import stat
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import typer

from keyturn.core.errors import ConfigError
from keyturn.core.secret import Secret, parse_secret
from keyturn.core.vocabulary import CredentialKind
from keyturn.secret_text import read_secret_text

SERVER, PROFILE = "KEYTURN_SERVER", "KEYTURN_PROFILE"
TOKEN_FILE, CA_FILE = "KEYTURN_TOKEN_FILE", "KEYTURN_CA_FILE"
_MOST = 4096
_COMMAND_SECONDS = 120


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server, and how to come by the token for it.

    Args:
        token_command: A program and its arguments; no shell reads it. Its first line is the token.
        token_file: For its owner only; relative to the profiles.
        ca_file: Certificates to trust instead of those that the machine trusts.
    """

    server: str
    token_command: tuple[str, ...] = ()
    token_file: Path | None = None
    ca_file: Path | None = None


def chosen(
    server: str | None, profile: str | None, *, local: bool, environ: Mapping[str, str]
) -> Profile | None:
    """Choose where a command goes: flags first, then the environment; None for this machine.

    Args:
        local: Whether flags name a data folder or a configuration file.

    Raises:
        ConfigError: Several places are named, or there is no such profile.
    """
    if [bool(server), bool(profile), local].count(True) > 1:
        raise ConfigError(["name one place: --server, --profile, or --data with --config"])
    if local:
        return None
    if not server and not profile:
        server, profile = environ.get(SERVER), environ.get(PROFILE)
        if server and profile:
            raise ConfigError([f"{SERVER} and {PROFILE} are both set: name one place"])
        if (server or profile) and (environ.get("KEYTURN_DATA") or environ.get("KEYTURN_CONFIG")):
            named = SERVER if server else PROFILE
            raise ConfigError([f"{named} is set, and a data folder too: name one place"])
    if profile:
        return _read(profile, _folder(environ))
    if not server:
        return None
    given, trusted = environ.get(TOKEN_FILE), environ.get(CA_FILE)
    return Profile(
        server=server,
        token_file=Path(given) if given else None,
        ca_file=Path(trusted) if trusted else None,
    )


def _folder(environ: Mapping[str, str]) -> Path:
    root = environ.get("XDG_CONFIG_HOME")
    return (Path(root) if root else Path.home() / ".config") / "keyturn"


def _read(name: str, folder: Path) -> Profile:
    path = folder / "profiles.toml"
    try:
        _require_own(path)
        found = tomllib.loads(read_secret_text(path, "profiles alone"))
    except OSError as error:
        raise ConfigError([f"profiles {path}: {error.strerror}"]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{path}: {error}"]) from None
    except ValueError as error:
        raise ConfigError([f"profiles {error}"]) from None
    if name not in found:
        raise ConfigError([f"no profile {name!r} in {path}; there is {', '.join(sorted(found)) or 'none'}"])
    try:
        profile = msgspec.convert(found[name], Profile, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise ConfigError([f"profile {name!r} in {path}: {error}"]) from None
    if profile.token_command and profile.token_file is not None:
        raise ConfigError([f"profile {name!r} in {path}: token_command or token_file, not both"])
    return msgspec.structs.replace(
        profile, token_file=_below(folder, profile.token_file), ca_file=_below(folder, profile.ca_file)
    )


def _path(kind: Any, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise ValueError("a path is a text")


def _below(folder: Path, path: Path | None) -> Path | None:
    return None if path is None else folder / path.expanduser()


def _require_own(path: Path) -> None:
    """Read nothing that others may write or read: it is a token, or names a program to run.

    Raises:
        ConfigError: Others may, or it is somebody else's.
        OSError: It cannot be looked at.
    """
    found = path.stat()
    if found.st_uid not in {os.getuid(), 0} or stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigError([f"{path} must be yours and for you only: chmod 600 {path}"])


def token_of(profile: Profile) -> Secret:
    """Fetch the admin token: from the program or file that is named, or from a prompt.

    Raises:
        ConfigError: There is none, or it is something else: that is sent nowhere.
    """
    if profile.token_command:
        text = _from_program(profile.token_command)
    elif profile.token_file is not None:
        text = _from_file(profile.token_file)
    elif sys.stdin.isatty():
        text = typer.prompt(f"Admin token for {profile.server}", hide_input=True, err=True)
    else:
        raise ConfigError([f"no admin token: {TOKEN_FILE}, or a profile with token_file or token_command"])
    token = text.strip().partition("\n")[0].strip()
    kind = parse_secret(token)
    if kind is CredentialKind.SETUP_TOKEN:
        raise ConfigError(["that is a setup token: POST /admin/v1/setup exchanges it for an admin token"])
    if kind is not CredentialKind.ADMIN_TOKEN:
        raise ConfigError(["what was given is no admin token (kt_admin_...); nothing was sent"])
    return Secret(token)


def _from_file(path: Path) -> str:
    try:
        _require_own(path)
        with path.open(encoding="utf-8") as file:
            return file.read(_MOST)
    except OSError as error:
        raise ConfigError([f"token file {path}: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"token file {path}: that is no text"]) from None


def _from_program(command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(  # noqa: S603  # the operator's own, from a file that only they may write
            command, stdout=subprocess.PIPE, timeout=_COMMAND_SECONDS, check=True, text=True
        )
    except OSError as error:
        raise ConfigError([f"token command {command[0]}: {error.strerror}"]) from None
    except subprocess.SubprocessError as error:
        code = getattr(error, "returncode", None)
        why = f"it took longer than {_COMMAND_SECONDS} s" if code is None else f"exit code {code}"
        raise ConfigError([f"token command {command[0]}: {why}"]) from None
    return done.stdout
