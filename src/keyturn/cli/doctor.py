"""``keyturn doctor``: whether a deployment is in order, and what to do where it is not."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from keyturn.cli.command import Config, Data, Form, epilog, settings_of, with_pin
from keyturn.cli.diagnosis import Finding, Verdict, check_configuration
from keyturn.cli.output import Format, show
from keyturn.config import load_settings
from keyturn.core.errors import ConfigError
from keyturn.settings import Settings

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(epilog=epilog("keyturn doctor", "keyturn doctor --url --format json"))
def doctor(
    *,
    url: Annotated[bool, typer.Option("--url", help="Ask the public URL, too, as callers do.")] = False,
    data: Data = None,
    config: Config = None,
    form: Form = Format.TABLE,
) -> None:
    """Look at configuration, clock, files, certificates, store, keys and upkeep; say what to do.

    Changes nothing, and works beside a running server. Exit code 1 where a check fails.
    """
    findings = _find(data, config, url=url)
    show(
        [
            {
                "check": each.check,
                "verdict": each.verdict.value,
                "found": each.found,
                "to_do": each.to_do or None,
            }
            for each in findings
        ],
        form,
    )
    raise typer.Exit(any(each.verdict is Verdict.FAIL for each in findings))


def _find(data: Path | None, config: Path | None, *, url: bool) -> list[Finding]:
    try:
        settings = settings_of(data, config)
    except ConfigError as error:
        return list(check_configuration(error.problems))
    return [*_configuration(settings, config), *asyncio.run(_examined(with_pin(settings), url=url))]


def _configuration(settings: Settings, config: Path | None) -> list[Finding]:
    """Check what a server would refuse to start with."""
    demo = (settings.data / "demo.json").is_file()
    try:
        flags = {"data": settings.data}
        load_settings(flags=flags, environ=os.environ, config=config, serving=True, demo=demo)
    except ConfigError as error:
        return list(check_configuration(error.problems))
    return list(check_configuration(()))


async def _examined(settings: Settings, *, url: bool) -> list[Finding]:
    from keyturn.cli.doctor_facts import examine

    return [finding async for finding in examine(settings, ask_url=url)]
