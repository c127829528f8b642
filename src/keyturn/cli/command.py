"""What all commands share: where the deployment is, how to print, and the way to its verbs."""

import asyncio
import functools
import inspect
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from keyturn.cli.output import Answer, Format, show
from keyturn.cli.verbs import Verbs
from keyturn.config import CONFIG_VARIABLE, PREFIX, Settings, load_settings

Data = Annotated[Path | None, typer.Option("--data", metavar="DIR", help="The data folder.")]
Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="The configuration file.")]
Form = Annotated[Format, typer.Option("--format", help="How to print.")]

Verb = Callable[..., Awaitable[Answer | None]]
"""What answers None has printed its answer itself."""


def noun(help_text: str) -> typer.Typer:
    """Make the group of a noun's commands."""
    return typer.Typer(help=help_text, no_args_is_help=True, rich_markup_mode=None, add_completion=False)


def verb(
    app: typer.Typer,
    columns: str = "",
    *,
    dashed: bool = False,
    offline: Callable[..., Answer | None] | None = None,
) -> Callable[[Verb], Verb]:
    """Register a command that asks a deployment: its first parameter is the verbs, its answer is printed.

    The options that every command has are added, so that a command names only its own; one that prints for
    itself takes ``form`` too.

    Args:
        columns: What its rows have, with spaces between: the heading of a list that is empty.
        dashed: Whether its argument may begin with ``-``, as one base64url text in 64 does; what is no option
            of the command is then an argument.
        offline: Answers without a deployment where it can; None where it cannot.
    """

    def register(function: Verb) -> Verb:
        @functools.wraps(function)
        def run(*, data: Path | None, config: Path | None, form: Format, **arguments: Any) -> None:
            answer = None if offline is None else offline(**arguments)
            if answer is None:
                told = {"form": form} if "form" in named else {}
                answer = asyncio.run(_ask(settings_of(data, config), function, arguments | told))
            if answer is not None:
                show(answer, form, columns.split())

        _, *parameters = inspect.signature(function).parameters.values()
        named = {each.name for each in parameters}
        own = [each for each in parameters if each.name != "form"]
        run.__signature__ = inspect.Signature([*own, *_SHARED])  # type: ignore[attr-defined]  # typer reads it
        app.command(context_settings={"ignore_unknown_options": dashed})(run)
        return function

    return register


_SHARED = tuple(
    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
    for name, default, annotation in (
        ("data", None, Data),
        ("config", None, Config),
        ("form", Format.TABLE, Form),
    )
)


async def _ask(settings: Settings, function: Verb, arguments: dict[str, Any]) -> Answer | None:
    from keyturn.cli.local import open_verbs

    async with open_verbs(settings) as local:
        verbs: Verbs = local
        return await function(verbs, **arguments)


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


def _of_demo(settings: Settings) -> Settings:
    """Put the public URL that a demo keeps where nothing else says one."""
    from keyturn.demo import kept_url

    if settings.public_url is not None:
        return settings
    return settings.model_copy(update={"public_url": kept_url(settings.data)})


def _latest_demo() -> Path | None:
    from keyturn.demo import latest_data

    default: Path = Settings.model_fields["data"].default
    latest = None if default.exists() else latest_data()
    if latest is not None:
        print(f"keyturn: the demo in {latest}", file=sys.stderr)
    return latest
