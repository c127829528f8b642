"""Settings: a TOML file, over it the environment, over it flags; those of each dialect's table included.

An unknown name is refused wherever it stands, because a misspelt setting is one that silently does not apply.
Every problem is listed at once. Explained for operators in docs/configuration.md.
"""

import dataclasses
import difflib
import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from pydantic import TypeAdapter, ValidationError

from keyturn.core.errors import ConfigError, OperatorError
from keyturn.dialects import load_dialects
from keyturn.directory.dialect_settings import SettingTables, check_value
from keyturn.secret_sources import keep_one_master_key, open_secret_files, why
from keyturn.secret_text import read_secret_text
from keyturn.setting_groups import LimitSettings
from keyturn.setting_types import is_loopback
from keyturn.settings import ALWAYS_SERVED, NO_PUBLIC_URL, NO_SETTINGS, SECRETS, Settings, plain

PREFIX = "KEYTURN_"
CONFIG_VARIABLE = "KEYTURN_CONFIG"
_OF_COMMANDS = ("KEYTURN_SERVER", "KEYTURN_PROFILE", "KEYTURN_TOKEN_FILE", "KEYTURN_CA_FILE")
_NOT_SETTINGS = (CONFIG_VARIABLE, "KEYTURN_TEST_", *_OF_COMMANDS)
_DEPLOYMENT = "deployment"


class _Layer(msgspec.Struct, frozen=True):
    """What one source gives, nested, and how it spells a setting's name."""

    values: dict[str, Any]
    spell: Callable[[str], str]
    folder: Path
    read: bool = True


def declared_settings() -> SettingTables:
    """Collect what each dialect of the package declares."""
    return {name: dialect.settings for name, dialect in load_dialects().items()}


def setting_names(tables: SettingTables) -> tuple[str, ...]:
    """Name every setting there is, dotted, those of the dialects and the ``_file`` forms included."""
    return (
        *(name for name in _model_names(Settings) if name != "dialect"),
        *(f"{name}_file" for name in SECRETS if name != "master_key"),  # that one is kept, to be followed
        *(
            f"dialect.{dialect}.{setting.name}"
            for dialect, settings in tables.items()
            for setting in settings
            if setting.scope == _DEPLOYMENT
        ),
    )


def _model_names(group: Any) -> Iterator[str]:
    for field in dataclasses.fields(group):
        if dataclasses.is_dataclass(field.type):
            yield from (f"{field.name}.{inner}" for inner in _model_names(field.type))
        elif field.name not in NO_SETTINGS:
            yield field.name


def load_settings(
    *,
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    config: Path | None = None,
    tables: SettingTables | None = None,
    serving: bool = False,
    demo: bool = False,
) -> Settings:
    """Read and check every setting.

    Args:
        flags: Settings given on the command line; None means not given.
        environ: The environment; ``KEYTURN_CONFIG`` names the file if ``config`` does not.
        config: The TOML file.
        tables: What each dialect declares; by default the dialects of the package.
        serving: Whether what a server needs must be there.
        demo: Whether it is a demo: every dialect is on, limits are out of the way, the host is loopback.

    Raises:
        ConfigError: Something is wrong; it lists everything that is.
    """
    tables = declared_settings() if tables is None else tables
    problems: list[str] = []
    path = config or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    layers = [_flag_layer(flags), _environment_layer(environ, tables, problems)]
    if path is not None:
        layers.append(_file_layer(path, problems))
    unread = path is not None and not layers[-1].read
    names = setting_names(tables)
    for layer in layers:
        problems += _drop_unknown(layer, names)
        problems += open_secret_files(SECRETS, layer.values, layer.folder, layer.spell)
    keep_one_master_key([layer.values for layer in layers])
    if demo:
        layers.append(_Layer(_demo_defaults(tables), str, Path()))
    # A rate is given by two values, and one of them may be given alone.
    layers.append(_Layer({"limits": plain(LimitSettings())}, str, Path()))
    settings, wrong = _validate(layers, names, problems)
    settings = dataclasses.replace(settings, dialect=_dialect_values(settings, tables, layers, problems))
    settings = dataclasses.replace(settings, dialects=_served(settings, tables, problems))
    if serving and not unread:  # what is missing may stand in the file that could not be read
        problems += _serving_problems(settings, wrong, demo=demo)
    if problems:
        raise ConfigError(problems)
    return settings


def _demo_defaults(tables: SettingTables) -> dict[str, Any]:
    plenty = {"per_minute": 1_000_000_000, "burst": 1_000_000_000}
    limits: dict[str, Any] = {kind: dict(plenty) for kind in LimitSettings().rates()}
    return {"dialects": tuple(tables), "limits": {**limits, "connections_per_address": 10_000}}


def _flag_layer(flags: Mapping[str, Any]) -> _Layer:
    given = {name: value for name, value in flags.items() if value is not None}
    return _Layer(given, lambda name: "--" + name.replace("_", "-"), Path())


def _environment_layer(environ: Mapping[str, str], tables: SettingTables, problems: list[str]) -> _Layer:
    spelled = {_variable(name): name for name in setting_names(tables)}
    values: dict[str, Any] = {}
    for variable, text in environ.items():
        if not variable.startswith(PREFIX) or variable.startswith(_NOT_SETTINGS) or not text:
            continue
        if variable not in spelled:
            problems.append(f"{variable} is no setting{_did_you_mean(variable, spelled)}")
            continue
        *parents, last = spelled[variable].split(".")
        inner = values
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = text
    return _Layer(values, _variable, Path())


def _variable(name: str) -> str:
    return PREFIX + name.replace(".", "__").replace("-", "_").upper()


def _file_layer(path: Path, problems: list[str]) -> _Layer:
    import tomllib  # most deployments are set by their environment

    values: dict[str, Any] = {}
    read = False
    try:
        values = tomllib.loads(read_secret_text(path, "settings alone"))
        read = True
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{path}: {error}")
    except (OSError, ValueError) as error:
        problems.append(f"configuration file {why(error, path)}")
    tls = values.get("tls")
    paths = (
        *((values, "data"), (tls, "certificate"), (tls, "key"), (values.get("pkcs11"), "module")),
        (values.get("notices"), "ca_file"),
    )
    for table, name in paths:
        if isinstance(table, dict) and isinstance(table.get(name), str):
            table[name] = path.parent / table[name]
    return _Layer(values, lambda name: f"{name} in {path}", path.parent, read)


def _drop_unknown(layer: _Layer, names: tuple[str, ...]) -> Iterator[str]:
    for name in list(_leaves(layer.values, names)):
        if name not in names:
            yield f"{layer.spell(name)}: no such setting{_did_you_mean(name, names)}"
            _remove(layer.values, name.split("."))


def _leaves(values: Mapping[str, Any], names: tuple[str, ...], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        name = prefix + key
        if isinstance(value, dict) and any(known.startswith(f"{name}.") for known in names):
            yield from _leaves(value, names, f"{name}.")
        elif not any(known.startswith(f"{name}.") for known in names):
            yield name


def _did_you_mean(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _validate(
    layers: list[_Layer], names: tuple[str, ...], problems: list[str]
) -> tuple[Settings, frozenset[str]]:
    """Check each value by itself; a wrong one is told and its default taken, so that the rest is checked.

    The last layer gives defaults.
    """
    wrong: set[str] = set()
    try:
        return _build(layers), frozenset()
    except ValidationError as error:
        for issue in error.errors(include_input=False, include_url=False):
            location = [part for part in issue["loc"] if isinstance(part, str)]
            spelled = [".".join(location[:length]) for length in range(len(location), 1, -1)]
            known = (name for name in spelled if name in names)
            name = next((name for name in known if _given(name, layers[:-1])), location[0])
            if name in wrong:
                continue
            wrong.add(name)
            giver = next(layer for layer in layers if _holds(layer.values, name.split(".")))
            problems.append(f"{giver.spell(name)}: {_sentence(issue['msg'])}")
    for layer in layers[:-1]:  # the last one holds the defaults
        for name in wrong:
            _remove(layer.values, name.split("."))
    return _build(layers), frozenset(wrong)


def _build(layers: list[_Layer]) -> Settings:
    values: dict[str, Any] = {}
    for layer in reversed(layers):
        values = _over(layer.values, values)
    return dataclasses.replace(_checker().validate_python(values), given=frozenset(values))


@functools.cache
def _checker() -> TypeAdapter[Settings]:
    return TypeAdapter(Settings)


def _over(upper: Mapping[str, Any], lower: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one source over another: a table keeps what the upper one leaves alone."""
    laid = dict(lower)
    for name, value in upper.items():
        below = laid.get(name)
        laid[name] = _over(value, below) if isinstance(value, dict) and isinstance(below, dict) else value
    return laid


def _holds(values: Any, path: list[str]) -> bool:
    return not path or (isinstance(values, dict) and path[0] in values and _holds(values[path[0]], path[1:]))


def _given(name: str, layers: list[_Layer]) -> bool:
    return any(_holds(layer.values, name.split(".")) for layer in layers)


def _remove(values: dict[str, Any], path: list[str]) -> None:
    head, *rest = path
    if not rest:
        values.pop(head, None)
    elif isinstance(values.get(head), dict):
        _remove(values[head], rest)


def _sentence(message: str) -> str:
    said = message.removeprefix("Value error, ").replace("Input should", "should")
    return said.replace("a dictionary or an instance of", "a valid dictionary or instance of")


def _dialect_values(
    settings: Settings, tables: SettingTables, layers: list[_Layer], problems: list[str]
) -> dict[str, dict[str, Any]]:
    values: dict[str, dict[str, Any]] = {}
    for dialect, declared in tables.items():
        given = settings.dialect.get(dialect, {})
        kept = values.setdefault(dialect, {})
        for setting in declared:
            if setting.scope != _DEPLOYMENT:
                continue
            try:
                kept[setting.name] = check_value(setting, given.get(setting.name, setting.default))
            except OperatorError as error:
                path = ["dialect", dialect, setting.name]
                giver = next(layer for layer in layers if _holds(layer.values, path))
                problems.append(f"{giver.spell('.'.join(path))}: {error}")
    return values


def _served(settings: Settings, tables: SettingTables, problems: list[str]) -> tuple[str, ...]:
    problems.extend(
        f"dialects: no dialect {name!r}{_did_you_mean(name, tables)}"
        for name in settings.dialects
        if name not in tables
    )
    return tuple(dict.fromkeys((ALWAYS_SERVED, *settings.dialects)))


def _address_problems(settings: Settings) -> Iterator[str]:
    if settings.host == settings.management_host and 0 < settings.port == settings.management_port:
        yield f"port and management_port are both {settings.port} on {settings.host}; each needs its own"


def _serving_problems(settings: Settings, wrong: frozenset[str], *, demo: bool) -> Iterator[str]:
    if not demo and settings.public_url is None and "public_url" not in wrong:
        yield NO_PUBLIC_URL
    if not demo and "data" not in wrong:
        try:
            settings.master_key_text()
        except ConfigError as error:
            yield from error.problems
    yield from settings.keys.problems(settings.jwks_cache_seconds)
    yield from settings.pkcs11.problems(settings.keys.signer)
    yield from settings.notices.problems()
    yield from _address_problems(settings)
    for name, host in (("host", settings.host), ("management_host", settings.management_host)):
        if is_loopback(host) or {name, "trusted_proxies"} & wrong:
            continue
        if demo:
            yield f"{name}: a demo listens on this machine only, not on {host}"
        elif not settings.trusted_proxies and not (name == "host" and settings.tls.pair()):
            remedy = "tls.certificate and tls.key, or " if name == "host" else ""
            yield f"{name}: plain HTTP on {host} needs {remedy}trusted_proxies: the networks of the TLS proxy"
    if (settings.tls.certificate is None) != (settings.tls.key is None):
        yield "tls.certificate and tls.key come together"
    elif settings.tls.pair() and (settings.public_url or "").startswith("http:"):
        yield "public_url: should begin with https://, since tls.certificate is given"
