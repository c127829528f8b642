"""The kinds of values that settings have, and how their text is read.

What pydantic should check stands beside each setting, as a mark that pydantic asks. So a process whose
settings are checked already keeps them without pydantic.
"""

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated, Any

import msgspec

from keyturn.core.secret import Secret

STRICT: dict[str, Any] = {"extra": "forbid", "hide_input_in_errors": True, "validate_default": True}
"""What pydantic is told of every group of settings."""

MAX_PORT = 65_535
_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:]+\]|[a-z0-9.-]+)(:(?P<port>[0-9]{1,5}))?/?")


class Before(msgspec.Struct, frozen=True):
    """Reads a value before its type is checked."""

    read: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Tell pydantic."""
        from pydantic_core import core_schema

        return core_schema.no_info_before_validator_function(self.read, handler(source))


class After(msgspec.Struct, frozen=True):
    """Checks a value that has its type, by a ``ValueError``."""

    check: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Tell pydantic."""
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self.check, handler(source))


class Within(msgspec.Struct, frozen=True):
    """Bounds a number; both ends are allowed."""

    least: int
    most: int

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Tell pydantic."""
        return {**handler(source), "ge": self.least, "le": self.most}


class _Hidden(msgspec.Struct, frozen=True):
    """Puts text away that must not print."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:  # pydantic knows no Secret
        """Tell pydantic."""
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(Secret, core_schema.str_schema())


def read_words(value: Any) -> Any:
    """Split the text that an environment variable holds for a list."""
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


def _networks(words: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(word)) for word in words)
    except ValueError as error:
        raise ValueError(f"should be networks such as 10.0.0.0/8: {error}") from None


def _base_url(text: str) -> str:
    found = _ORIGIN.fullmatch(text.lower())
    if found is None or int(found["port"] or 0) > MAX_PORT:
        raise ValueError("should be https://host or https://host:port, with no path")
    if found["scheme"] == "http" and not is_loopback(found["host"].strip("[]")):
        raise ValueError("should begin with https:// unless its host is this machine (localhost, 127.0.0.1)")
    return found[0].rstrip("/")


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine and nothing else."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


Words = Annotated[tuple[str, ...], Before(read_words)]
Networks = Annotated[tuple[str, ...], Before(read_words), After(_networks)]
BaseUrl = Annotated[str, After(_base_url)]
Port = Annotated[int, Within(0, MAX_PORT)]
Hidden = Annotated[Secret, _Hidden()]
