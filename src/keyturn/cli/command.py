"""What all commands share: where the deployment is, how to print, and the way to its verbs."""

import asyncio
import contextlib
import dataclasses
import functools
import inspect
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keyturn.cli.output import Answer, Format, show
from keyturn.cli.prompt import ask_secret
from keyturn.config import CONFIG_VARIABLE, PREFIX, load_settings
from keyturn.settings import Settings

if TYPE_CHECKING:  # they know everything that can be asked of a deployment; `serve` asks nothing
    from keyturn.cli.verbs import Verbs

Data = Annotated[Path | None, typer.Option("--data", metavar="DIR", help="The data folder.")]
Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="The configuration file.")]
Server = Annotated[
    str | None, typer.Option("--server", metavar="URL", help="A server, by its admin API, not this machine.")
]
Profile = Annotated[
    str | None, typer.Option("--profile", metavar="NAME", help="A server of ~/.config/keyturn/profiles.toml.")
]
Form = Annotated[Format, typer.Option("--format", help="How to print.")]

Verb = Callable[..., Awaitable[Answer | None]]
"""What answers None has printed its answer itself."""


def noun(help_text: str, *examples: str) -> typer.Typer:
    """Make the group of a noun's commands.

    Args:
        examples: Command lines, as they are typed.
    """
    return typer.Typer(
        help=help_text,
        epilog=epilog(*examples),
        no_args_is_help=True,
        rich_markup_mode=None,
        add_completion=False,
    )


def epilog(*examples: str) -> str | None:
    """Write examples as they stand below a help text."""
    return "\n".join(("\b", "Examples:", *(f"  {each}" for each in examples))) if examples else None


def verb(
    app: typer.Typer,
    columns: str = "",
    *,
    dashed: bool = False,
    offline: Callable[..., Answer | None] | None = None,
    signs: bool = False,
    examples: Sequence[str] = (),
) -> Callable[[Verb], Verb]:
    """Register a command that asks a deployment: its first parameter is the verbs, its answer is printed.

    The options that every command has are added, so that a command names only its own; one that prints for
    itself takes ``form`` too.

    Args:
        columns: What its rows have, with spaces between: the heading of a list that is empty.
        dashed: Whether its argument may begin with ``-``, as one base64url text in 64 does; what is no option
            of the command is then an argument.
        signs: Whether it uses or makes signing keys, which may be behind a PIN.
        offline: Answers without a deployment where it can; None where it cannot.
        examples: Of a command that is a noun by itself; else the noun has them.
    """

    def register(function: Verb) -> Verb:
        @functools.wraps(function)
        def run(
            *,
            data: Path | None,
            config: Path | None,
            server: str | None,
            profile: str | None,
            form: Format,
            **arguments: Any,
        ) -> None:
            answer = None if offline is None else offline(**arguments)
            if answer is None:
                told = {"form": form} if "form" in named else {}
                opened = _opened(data, config, server, profile, signs=signs)
                answer = asyncio.run(_ask(opened, function, arguments | told))
            if answer is not None:
                show(answer, form, columns.split())

        _, *parameters = inspect.signature(function).parameters.values()
        named = {each.name for each in parameters}
        own = [each for each in parameters if each.name != "form"]
        run.__signature__ = inspect.Signature([*own, *_COMMON])  # type: ignore[attr-defined]  # typer reads it
        app.command(context_settings={"ignore_unknown_options": dashed}, epilog=epilog(*examples))(run)
        return function

    return register


_COMMON = tuple(
    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
    for name, default, annotation in (
        ("data", None, Data),
        ("config", None, Config),
        ("server", None, Server),
        ("profile", None, Profile),
        ("form", Format.TABLE, Form),
    )
)
SHARED = frozenset(each.name for each in _COMMON)
"""What every command takes that asks a deployment."""


async def _ask(
    opened: contextlib.AbstractAsyncContextManager["Verbs"], function: Verb, arguments: dict[str, Any]
) -> Answer | None:
    async with opened as verbs:
        return await function(verbs, **arguments)


def _opened(
    data: Path | None, config: Path | None, server: str | None, profile: str | None, *, signs: bool
) -> contextlib.AbstractAsyncContextManager["Verbs"]:
    """Open the deployment that a command is about: on this machine, or behind a server's admin API."""
    from keyturn.cli.profiles import chosen

    remote = chosen(server, profile, local=bool(data or config), environ=os.environ)
    if remote is None:
        settings = settings_of(data, config)
        return _local(with_pin(settings) if signs else settings)
    from keyturn.cli.remote import open_remote

    return open_remote(remote)


@contextlib.asynccontextmanager
async def _local(settings: Settings) -> AsyncIterator["Verbs"]:
    from keyturn.cli.local import open_verbs

    async with open_verbs(settings) as local:
        yield local


def settings_of(data: Path | None, config: Path | None) -> Settings:
    """Find the deployment that a command is about.

    It is the one that flags, file or environment name; where none of them does and there is none in the
    default folder either, the demo that was started last.
    """
    given = data or config or os.environ.get(f"{PREFIX}DATA") or os.environ.get(CONFIG_VARIABLE)
    if not given:
        data = _latest_demo()
    settings = load_settings(flags={"data": data}, environ=os.environ, config=config)
    if (settings.data / "demo.json").is_file():
        return _of_demo(load_settings(flags={"data": data}, environ=os.environ, config=config, demo=True))
    return settings


def with_pin(settings: Settings) -> Settings:
    """Ask for the PIN of the PKCS#11 token, where there is one, it is not given and somebody can type it."""
    if settings.pkcs11.module is None or settings.pkcs11.pin is not None or not sys.stdin.isatty():
        return settings
    pin = ask_secret(f"PIN of the token {settings.pkcs11.token}")
    return dataclasses.replace(settings, pkcs11=dataclasses.replace(settings.pkcs11, pin=pin))


def _of_demo(settings: Settings) -> Settings:
    """Put the public URL that a demo keeps where nothing else says one."""
    from keyturn.demo import kept_url

    if settings.public_url is not None:
        return settings
    return dataclasses.replace(settings, public_url=kept_url(settings.data))


def _latest_demo() -> Path | None:
    from keyturn.demo import latest_data

    default = Settings().data
    latest = None if default.exists() else latest_data()
    if latest is not None:
        print(f"keyturn: the demo in {latest}", file=sys.stderr)
    return latest
