"""``keyturn org``: organisations."""

from typing import Annotated

import typer

from keyturn.cli.command import noun, verb
from keyturn.cli.output import Answer, Row, instant
from keyturn.cli.verbs import Verbs
from keyturn.core.records import Organisation

app = noun("Organisations.")

Slug = Annotated[str, typer.Argument(help="The organisation's slug.")]


def shown(organisation: Organisation) -> Row:
    """Give what is shown of an organisation."""
    return {
        "slug": organisation.slug,
        "id": organisation.id,
        "name": organisation.name,
        "disabled": organisation.disabled,
        "created_at": instant(organisation.created_at),
        "ended_at": instant(organisation.ended_at),
        "settings": {
            f"{dialect}.{name}": value
            for dialect, values in organisation.settings.items()
            for name, value in values.items()
        },
    }


@verb(app)
async def create(
    verbs: Verbs,
    slug: Slug,
    name: Annotated[str | None, typer.Option(help="The display name; the slug if not given.")] = None,
) -> Answer:
    """Make an organisation; the slug is part of its issuer and stays for good."""
    return shown(await verbs.create_organisation(slug, name or slug))


@verb(app)
async def list(verbs: Verbs) -> Answer:  # noqa: A001  # the command's name
    """List the organisations, oldest first."""
    return [shown(each) for each in await verbs.organisations()]


@verb(app)
async def show(verbs: Verbs, slug: Slug) -> Answer:
    """Show one organisation."""
    return shown(await verbs.organisation(slug))


@verb(app)
async def rename(
    verbs: Verbs, slug: Slug, name: Annotated[str, typer.Argument(help="The new display name.")]
) -> Answer:
    """Give an organisation another display name."""
    return shown(await verbs.rename_organisation(slug, name))


@verb(app)
async def disable(verbs: Verbs, slug: Slug) -> Answer:
    """Stop issuing under an organisation; its tokens are dead at once."""
    return shown(await verbs.disable_organisation(slug))


@verb(app)
async def enable(verbs: Verbs, slug: Slug) -> Answer:
    """Issue under an organisation again."""
    return shown(await verbs.enable_organisation(slug))


@verb(app)
async def set(  # noqa: A001  # the command's name
    verbs: Verbs,
    slug: Slug,
    setting: Annotated[str, typer.Argument(help="DIALECT.NAME, such as oauth2.lifetime_seconds.")],
    value: Annotated[str | None, typer.Argument(help="The value; none goes back to the default.")] = None,
) -> Answer:
    """Set a dialect's setting for an organisation."""
    return shown(await verbs.set_organisation(slug, setting, value))
