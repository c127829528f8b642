"""``keyturn entity``: machine parties with secrets that can be read again."""

from datetime import timedelta
from typing import Annotated

import typer

from keyturn.cli.command import noun, verb
from keyturn.cli.output import Answer, Row, instant
from keyturn.cli.prompt import Yes, require_yes
from keyturn.cli.secret import COLUMNS as SECRET_COLUMNS
from keyturn.cli.secret import duration
from keyturn.cli.secret import shown as shown_secret
from keyturn.cli.user import Named, Slug
from keyturn.cli.verbs import Verbs
from keyturn.core.records import Entity
from keyturn.directory.secrets import ReadableSecret

app = noun(
    "Entities: machine parties with secrets that can be read again.",
    "keyturn entity create acme SHOP-1 --type FIU",
    "keyturn entity link SHOP-1 acme/jon",
    "keyturn entity reset SHOP-1 --expires 90d",
)

Id = Annotated[str, typer.Argument(metavar="ENTITY_ID", help="The entity's id, exactly.")]


COLUMNS = "entity_id name type subject users disabled created_at ended_at"
"""What ``shown`` gives."""


def shown(entity: Entity) -> Row:
    """Give what is shown of an entity."""
    return {
        "entity_id": entity.id,
        "name": entity.name,
        "type": entity.type,
        "subject": entity.subject,
        "users": [*entity.users],
        "disabled": entity.disabled,
        "created_at": instant(entity.created_at),
        "ended_at": instant(entity.ended_at),
    }


def _told(readable: ReadableSecret) -> Row:
    credential = readable.credential
    return {
        "id": credential.id,
        "entity_id": credential.owner_id,
        "created_at": instant(credential.life.created_at),
        "expires_at": instant(credential.life.expires_at),
        "grace_until": instant(credential.life.grace_until),
        "secret": readable.secret.reveal(),
    }


@verb(app)
async def create(
    verbs: Verbs,
    slug: Slug,
    entity_id: Id,
    type_: Annotated[str, typer.Option("--type", help="What it is, in its contract's word, as FIU.")],
    name: Annotated[str | None, typer.Option(help="What people call it; the id if not given.")] = None,
) -> Answer:
    """Make an entity; it needs a user and a secret next: keyturn entity link, keyturn entity reset."""
    return shown(await verbs.create_entity(slug, entity_id, name or entity_id, type_))


@verb(app, columns=COLUMNS)
async def list(verbs: Verbs, slug: Slug) -> Answer:  # noqa: A001  # the command's name
    """List an organisation's entities, oldest first."""
    return [shown(each) for each in await verbs.entities(slug)]


@verb(app)
async def show(verbs: Verbs, entity_id: Id) -> Answer:
    """Show one entity."""
    return shown(await verbs.entity(entity_id))


@verb(app)
async def link(verbs: Verbs, entity_id: Id, user: Named) -> Answer:
    """Let a member of the organisation whose role allows it read and reset an entity's secret."""
    return shown(await verbs.link_entity(entity_id, user))


@verb(app)
async def unlink(verbs: Verbs, entity_id: Id, user: Named) -> Answer:
    """Let a user read and reset an entity's secret no longer."""
    return shown(await verbs.unlink_entity(entity_id, user))


@verb(app)
async def disable(verbs: Verbs, entity_id: Id) -> Answer:
    """Issue nothing more to an entity; its tokens are dead at once."""
    return shown(await verbs.disable_entity(entity_id))


@verb(app)
async def enable(verbs: Verbs, entity_id: Id) -> Answer:
    """Issue to an entity again."""
    return shown(await verbs.enable_entity(entity_id))


@verb(app)
async def end(verbs: Verbs, entity_id: Id, yes: Yes = False) -> Answer:  # a flag
    """End an entity for good, with its secrets and tokens; its id is never used again."""
    found = await verbs.entity(entity_id)
    require_yes(f"Entity {found.id!r} ends with its secrets and tokens.", yes)
    return shown(await verbs.end_entity(entity_id))


@verb(app)
async def reset(
    verbs: Verbs,
    entity_id: Id,
    expires: Annotated[
        timedelta | None,
        typer.Option(parser=duration, metavar="DURATION", help="How long it lives, as 90d; at most as set."),
    ] = None,
) -> Answer:
    """Make an entity's secret anew and print it; the old one has ended, unless `org set` says otherwise."""
    return _told(await verbs.reset_entity_secret(entity_id, expires))


@verb(app)
async def read(verbs: Verbs, entity_id: Id) -> Answer:
    """Print an entity's secret again; the audit trail tells of it."""
    return _told(await verbs.read_entity_secret(entity_id))


@verb(app, columns=SECRET_COLUMNS.replace("client_id", "entity_id"))
async def secrets(verbs: Verbs, entity_id: Id) -> Answer:
    """List an entity's secrets, oldest first; not the secrets themselves."""
    return [shown_secret(each, "entity_id") for each in await verbs.entity_secrets(entity_id)]
