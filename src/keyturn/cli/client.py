"""``keyturn client``: the machines that ask for tokens."""

from typing import Annotated, Any

import typer

from keyturn.cli.command import noun, verb
from keyturn.cli.output import Answer, Row, instant
from keyturn.cli.prompt import Yes, require_yes
from keyturn.cli.verbs import Verbs
from keyturn.core.errors import OperatorError
from keyturn.core.records import Client
from keyturn.core.vocabulary import CLIENT_CREDENTIALS
from keyturn.directory.clients import ClientWish

app = noun(
    "Clients: the machines that ask for tokens.",
    'keyturn client create acme --name "nightly job" --scope "read write"',
    "keyturn client list acme",
    "keyturn client change CLIENT_ID --max-lifetime 300",
)

Slug = Annotated[str, typer.Argument(help="The organisation's slug.")]
Id = Annotated[str, typer.Argument(metavar="CLIENT_ID", help="The client's id.")]
Words = list[str]


def shown(client: Client) -> Row:
    """Give what is shown of a client."""
    return {
        "client_id": client.id,
        "name": client.name,
        "dialects": [*client.dialects],
        "grants": [*client.grants],
        "scopes": [*client.scopes],
        "audiences": [*client.audiences],
        "max_lifetime_seconds": client.max_lifetime_seconds,
        "public": client.public,
        "rights": [*client.rights],
        "disabled": client.disabled,
        "created_at": instant(client.created_at),
        "ended_at": instant(client.ended_at),
    }


@verb(app)
async def create(
    verbs: Verbs,
    slug: Slug,
    name: Annotated[str, typer.Option(help="What people call it.")],
    dialect: Annotated[Words, typer.Option(help="A wire format it may use; repeatable.")] = ["oauth2"],  # noqa: B006  # typer copies
    grant: Annotated[Words, typer.Option(help="A grant it may use; repeatable.")] = [CLIENT_CREDENTIALS],  # noqa: B006  # the same
    scope: Annotated[Words, typer.Option(help="A scope it may ask; repeatable.")] = [],  # noqa: B006  # the same
    audience: Annotated[
        Words, typer.Option(help="A resource its tokens may be for; repeatable, the first is the default.")
    ] = [],  # noqa: B006  # the same
    right: Annotated[Words, typer.Option(help="What else it may do: introspect; repeatable.")] = [],  # noqa: B006  # the same
    public: Annotated[bool, typer.Option("--public", help="It has no secret.")] = False,  # a flag
    max_lifetime: Annotated[
        int | None, typer.Option(metavar="SECONDS", help="A ceiling on its access tokens.")
    ] = None,
) -> Answer:
    """Make a client; it needs a secret next: keyturn secret create CLIENT_ID."""
    wish = ClientWish(
        name=name,
        dialects=tuple(dialect),
        grants=tuple(grant),
        scopes=tuple(word for words in scope for word in words.split()),
        audiences=tuple(audience),
        max_lifetime_seconds=max_lifetime,
        public=public,
        rights=tuple(right),
    )
    return shown(await verbs.create_client(slug, wish))


@verb(
    app,
    columns="client_id name dialects grants scopes audiences"
    " max_lifetime_seconds public rights disabled created_at ended_at",
)
async def list(verbs: Verbs, slug: Slug) -> Answer:  # noqa: A001  # the command's name
    """List an organisation's clients, oldest first."""
    return [shown(each) for each in await verbs.clients(slug)]


@verb(app)
async def show(verbs: Verbs, client_id: Id) -> Answer:
    """Show one client."""
    return shown(await verbs.client(client_id))


@verb(app)
async def change(
    verbs: Verbs,
    client_id: Id,
    name: Annotated[str | None, typer.Option(help="What people call it.")] = None,
    dialect: Annotated[Words | None, typer.Option(help="A wire format it may use; repeatable.")] = None,
    grant: Annotated[Words | None, typer.Option(help="A grant it may use; repeatable.")] = None,
    scope: Annotated[Words | None, typer.Option(help="A scope it may ask; repeatable.")] = None,
    audience: Annotated[Words | None, typer.Option(help="A resource its tokens may be for.")] = None,
    right: Annotated[Words | None, typer.Option(help="What else it may do: introspect.")] = None,
    max_lifetime: Annotated[
        int | None, typer.Option(metavar="SECONDS", help="A ceiling on its access tokens; 0 for none.")
    ] = None,
) -> Answer:
    """Change what is given and keep the rest; '' empties a list. Tokens that are out keep what they have."""
    lists = {
        "dialects": dialect,
        "grants": grant,
        "scopes": scope,
        "audiences": audience,
        "rights": right,
    }
    changes: dict[str, Any] = {
        member: tuple(word for words in given for word in words.split())
        for member, given in lists.items()
        if given is not None
    }
    if name is not None:
        changes["name"] = name
    if max_lifetime is not None:
        changes["max_lifetime_seconds"] = max_lifetime or None
    if not changes:
        raise OperatorError("say what to change; keyturn client change --help lists it")
    return shown(await verbs.change_client(client_id, changes))


@verb(app)
async def disable(verbs: Verbs, client_id: Id) -> Answer:
    """Issue nothing more to a client; its tokens are dead at once."""
    return shown(await verbs.disable_client(client_id))


@verb(app)
async def enable(verbs: Verbs, client_id: Id) -> Answer:
    """Issue to a client again."""
    return shown(await verbs.enable_client(client_id))


@verb(app)
async def end(verbs: Verbs, client_id: Id, yes: Yes = False) -> Answer:  # a flag
    """End a client for good, with its secrets and tokens."""
    found = await verbs.client(client_id)
    require_yes(f"Client {found.name!r} ends with its secrets and tokens.", yes)
    return shown(await verbs.end_client(client_id))
