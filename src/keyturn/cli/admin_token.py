"""``keyturn admin-token``: who may use the admin API. A token is printed once, when it is made (AD-04)."""

from typing import Annotated

import typer

from keyturn.cli.command import noun, verb
from keyturn.cli.output import Answer, Row, instant
from keyturn.cli.secret import Expires, ExpiresAt, chosen_end
from keyturn.cli.verbs import Verbs
from keyturn.core.admin_records import ALL, AdminToken

app = noun(
    "Admin tokens: who may use the admin API.",
    "keyturn admin-token create --name ci --organisation acme --scope clients:write --expires 90d",
    "keyturn admin-token list",
)

Id = Annotated[
    str, typer.Argument(metavar="TOKEN_ID", help="The token's id, as `keyturn admin-token list` shows it.")
]
Scopes = Annotated[list[str], typer.Option("--scope", help="Such as clients:read; repeatable.")]
COLUMNS = "id name kind organisation_id scopes created_at expires_at last_used_on ended_at ended_why"


def shown(token: AdminToken) -> Row:
    """Give what is shown of an admin token: never the token."""
    return {
        "id": token.id,
        "name": token.name,
        "kind": "setup" if token.setup else "admin",
        "organisation_id": token.organisation_id,
        "scopes": [*token.scopes],
        "created_at": instant(token.created_at),
        "expires_at": instant(token.expires_at),
        "last_used_on": token.last_used_on.isoformat() if token.last_used_on else None,
        "ended_at": instant(token.ended_at),
        "ended_why": token.ended_why,
    }


@verb(app)
async def create(
    verbs: Verbs,
    name: Annotated[str, typer.Option(help="What people call it.")] = "admin token",
    organisation: Annotated[
        str | None, typer.Option(metavar="SLUG", help="The one organisation it reaches; all if not given.")
    ] = None,
    scope: Scopes = [ALL],  # noqa: B006  # typer copies
    expires_at: ExpiresAt = None,
    expires: Expires = None,
) -> Answer:
    """Make an admin token and print it, this once."""
    end_ = chosen_end(expires_at, expires)
    token, secret = await verbs.create_admin_token(organisation, name, scope, end_)
    return {**shown(token), "token": secret.reveal()}


@verb(app, columns=COLUMNS)
async def list(verbs: Verbs) -> Answer:  # noqa: A001  # the command's name
    """List the admin tokens, oldest first."""
    return [shown(each) for each in await verbs.admin_tokens()]


@verb(app)
async def end(
    verbs: Verbs,
    token_id: Id,
    why: Annotated[str, typer.Option(help="For the record.")] = "ended by an operator",
) -> Answer:
    """End an admin token for good; it is refused everywhere within a second."""
    return shown(await verbs.end_admin_token(token_id, why))


@verb(app)
async def setup(verbs: Verbs) -> Answer:
    """Print a new setup token, where no admin token is alive: POST /admin/v1/setup gives the first for it."""
    return {"setup_token": (await verbs.make_setup_token()).reveal()}
