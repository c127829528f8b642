"""``keyturn upgraded``: what may be done once no server of an earlier release is left."""

import asyncio

import typer

from keyturn.app import open_local
from keyturn.cli.command import Config, Data, Form, epilog, settings_of
from keyturn.cli.local import local_actor
from keyturn.cli.output import Format, show
from keyturn.cli.prompt import Yes, require_yes
from keyturn.directory.upgrading import Upgraded, mark_upgraded
from keyturn.settings import Settings

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(epilog=epilog("keyturn upgraded --yes"))
def upgraded(
    *,
    yes: Yes = False,
    data: Data = None,
    config: Config = None,
    form: Form = Format.TABLE,
) -> None:
    """Say that no server of an earlier release runs any more: refresh tokens get the form of this one.

    Servers that run hear of it within a second. An earlier release does not know such refresh tokens.
    """
    require_yes("Back on an earlier release, callers with refresh tokens would have to begin anew.", yes)
    done = asyncio.run(_say(settings_of(data, config)))
    show({"form": done.now.value, "before": done.before.value}, form)


async def _say(settings: Settings) -> Upgraded:
    async with open_local(settings) as local:
        return await mark_upgraded(
            local_actor(), local.deployment, local.sealer, now=local.clock.now(), dice=local.dice
        )
