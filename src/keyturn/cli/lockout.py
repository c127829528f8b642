"""``keyturn lockout``: names at which somebody guessed too often."""

from typing import Annotated

import typer

from keyturn.cli.command import noun, verb
from keyturn.cli.output import Answer
from keyturn.cli.verbs import Verbs

app = noun(
    "Names at which somebody guessed too often.",
    "keyturn lockout clear acme jon",
)


@app.callback()
def lockout() -> None:
    """Keep `clear` a word of its own, although it is the only one."""


@verb(app)
async def clear(
    verbs: Verbs,
    slug: Annotated[str, typer.Argument(help="The slug of the organisation where the user is at home.")],
    user_name: Annotated[str, typer.Argument(metavar="USER_NAME", help="The user's name.")],
) -> Answer:
    """Forget the failures of a user name: the next attempt is checked, whoever makes it."""
    return {"organisation": slug, "user_name": await verbs.clear_lockout(slug, user_name), "cleared": True}
