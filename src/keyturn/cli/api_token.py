"""``keyturn api-token``: long-lived tokens of users and service accounts, each for one organisation."""

from datetime import timedelta
from typing import Annotated

import typer

from keyturn.cli.command import noun, verb
from keyturn.cli.output import Answer, Row
from keyturn.cli.secret import COLUMNS as SECRET_COLUMNS
from keyturn.cli.secret import duration
from keyturn.cli.secret import shown as shown_secret
from keyturn.cli.user import Slug
from keyturn.cli.user_key import Dialects
from keyturn.cli.verbs import Verbs
from keyturn.directory.api_tokens import ApiTokenWish
from keyturn.directory.secret_status import SecretStatus

app = noun(
    "API tokens: long-lived, each for one organisation.",
    "keyturn api-token create acme acme/jon --name nightly --expires 90d",
    "keyturn api-token regenerate TOKEN_ID",
)

Owner = Annotated[
    str, typer.Argument(help="Whose it is: a user's id, e-mail address or SLUG/USERNAME, or a client's id.")
]
Id = Annotated[
    str, typer.Argument(metavar="TOKEN_ID", help="The token's id, as `keyturn api-token list` shows it.")
]
Words = list[str]
_LIFETIME = timedelta(days=180)


COLUMNS = SECRET_COLUMNS.replace("client_id", "owner_id") + " roles scopes mfa"
"""What ``shown`` gives."""


def shown(status: SecretStatus) -> Row:
    """Give what is shown of an API token: never the token."""
    credential = status.credential
    return shown_secret(status, "owner_id") | {
        "roles": None if credential.roles is None else [*credential.roles],
        "scopes": None if credential.scopes is None else [*credential.scopes],
        "mfa": credential.mfa,
    }


@verb(app)
async def create(
    verbs: Verbs,
    slug: Slug,
    owner: Owner,
    name: Annotated[str, typer.Option(help="What people call it.")] = "token",
    role: Annotated[Words | None, typer.Option(help="Fewer roles than the owner's; repeatable.")] = None,
    scope: Annotated[Words | None, typer.Option(help="Fewer scopes than the owner's; repeatable.")] = None,
    mfa: Annotated[bool, typer.Option("--mfa", help="Each exchange needs a passcode of the owner.")] = False,
    dialect: Dialects = [],  # noqa: B006  # typer copies
    expires: Annotated[
        timedelta | None,
        typer.Option(
            parser=duration, metavar="DURATION", help="Refuse it after that; 180d if nothing is said."
        ),
    ] = None,
    unlimited: Annotated[bool, typer.Option("--unlimited", help="It does not expire.")] = False,
) -> Answer:
    """Make an API token and print it, this once."""
    if unlimited and expires is not None:
        raise typer.BadParameter("give --expires or --unlimited, not both")
    wish = ApiTokenWish(
        name=name,
        owner_id="",
        dialects=tuple(dialect),
        roles=None if role is None else tuple(role),
        scopes=None if scope is None else tuple(word for words in scope for word in words.split()),
        mfa=mfa,
        lifetime=None if unlimited else expires or _LIFETIME,
    )
    status, secret = await verbs.create_api_token(slug, owner, wish)
    return {**shown(status), "secret": secret.reveal()}


@verb(app, columns=COLUMNS)
async def list(verbs: Verbs, slug: Slug, owner: Owner) -> Answer:  # noqa: A001  # the command's name
    """List an owner's API tokens for an organisation, oldest first."""
    return [shown(each) for each in await verbs.api_tokens(slug, owner)]


@verb(app)
async def regenerate(verbs: Verbs, token_id: Id) -> Answer:
    """Make a token anew and print it, this once; the old one and its access tokens are dead at once."""
    status, secret = await verbs.regenerate_api_token(token_id)
    return {**shown(status), "secret": secret.reveal()}


@verb(app)
async def deactivate(verbs: Verbs, token_id: Id) -> Answer:
    """Refuse a token until it is activated; its access tokens are dead at once."""
    return shown(await verbs.disable_secret(token_id))


@verb(app)
async def activate(verbs: Verbs, token_id: Id) -> Answer:
    """Accept a token again."""
    return shown(await verbs.enable_secret(token_id))


@verb(app)
async def revoke(
    verbs: Verbs,
    token_id: Id,
    why: Annotated[str, typer.Option(help="For the record.")] = "revoked by an operator",
) -> Answer:
    """End a token for good; its access tokens are dead at once."""
    return shown(await verbs.end_secret(token_id, why))
