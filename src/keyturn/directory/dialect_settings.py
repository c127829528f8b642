"""Values of a dialect's settings, checked against what its table declares.

The tables live in ``wire``; this room sees them through a Protocol, so that it does not depend on a wire
format. ``config`` checks the deployment's values with the same function.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Protocol

from keyturn.core.errors import OperatorError


class SettingTable(Protocol):
    """What is asked of ``wire.tables.Setting``."""

    @property
    def name(self) -> str:
        """The setting's name within its dialect."""
        ...

    @property
    def kind(self) -> str:
        """``int``, ``str``, ``bool`` or ``date``."""
        ...

    @property
    def help(self) -> str:
        """What it does, for people."""
        ...

    @property
    def scope(self) -> str:
        """``deployment`` or ``organisation``."""
        ...

    @property
    def default(self) -> Any:
        """The value where none is given."""
        ...

    @property
    def minimum(self) -> int | None:
        """The least value of an ``int``."""
        ...

    @property
    def maximum(self) -> int | None:
        """The greatest value of an ``int``."""
        ...

    @property
    def choices(self) -> tuple[str, ...]:
        """All there may be, where not everything may."""
        ...


SettingTables = Mapping[str, Sequence[SettingTable]]
"""For each dialect, the settings that its table declares."""

_TRUTH = {"true": True, "false": False}


def find_setting(tables: SettingTables, dialect: str, name: str, scope: str) -> SettingTable:
    """Find a declared setting.

    Raises:
        OperatorError: There is none by that name for that scope; the message lists those there are.
    """
    there = {setting.name: setting for setting in tables.get(dialect, ()) if setting.scope == scope}
    if name not in there:
        known = sorted(
            f"{owner}.{setting.name}"
            for owner, settings in tables.items()
            for setting in settings
            if setting.scope == scope
        )
        raise OperatorError(f"no {scope} setting {dialect}.{name}; there is {', '.join(known) or 'none'}")
    return there[name]


def check_value(setting: SettingTable, value: Any) -> Any:
    """Accept a setting's value, as itself or as text.

    Raises:
        OperatorError: It is of another kind, out of range or not among the choices.
    """
    checked = _CHECKS[setting.kind](setting, value)
    if setting.choices and checked not in setting.choices:
        raise OperatorError(f"{setting.name} is one of {', '.join(setting.choices)}, not {value!r}")
    return checked


def _check_bool(setting: SettingTable, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in _TRUTH:
        return _TRUTH[value]
    raise OperatorError(f"{setting.name} is true or false, not {value!r}")


def _check_int(setting: SettingTable, value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.removeprefix("-").isdigit() and len(value) <= 18:  # noqa: PLR2004  # 64 bits
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise OperatorError(f"{setting.name} is a whole number, not {value!r}")
    if setting.minimum is not None and value < setting.minimum:
        raise OperatorError(f"{setting.name} is at least {setting.minimum}, not {value}")
    if setting.maximum is not None and value > setting.maximum:
        raise OperatorError(f"{setting.name} is at most {setting.maximum}, not {value}")
    return value


def _check_str(setting: SettingTable, value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise OperatorError(f"{setting.name} is printable text, not {value!r}")
    return value


def _check_date(setting: SettingTable, value: Any) -> str:
    """Accept a day, and give it as text: settings are kept as JSON."""
    try:
        return date.fromisoformat(value).isoformat()
    except (TypeError, ValueError):
        raise OperatorError(f"{setting.name} is a day such as 2030-01-31, not {value!r}") from None


_CHECKS = {"bool": _check_bool, "date": _check_date, "int": _check_int, "str": _check_str}
