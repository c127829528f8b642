"""The kinds of values that settings have, and how their text is read."""

import ipaddress
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic.functional_validators import AfterValidator

_MAX_PORT = 65_535
_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:]+\]|[a-z0-9.-]+)(:(?P<port>[0-9]{1,5}))?/?")


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
    if found is None or int(found["port"] or 0) > _MAX_PORT:
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


Words = Annotated[tuple[str, ...], BeforeValidator(read_words)]
Networks = Annotated[tuple[str, ...], BeforeValidator(read_words), AfterValidator(_networks)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
Port = Annotated[int, Field(ge=0, le=_MAX_PORT)]
