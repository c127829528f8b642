"""``keyturn org``: organisations."""

import sys
from typing import Annotated

import typer

from keyturn.cli.command import noun, verb
from keyturn.cli.output import Answer, Row, instant
from keyturn.cli.verbs import Verbs
from keyturn.core.errors import OperatorError
from keyturn.core.records import Organisation

app = noun(
    "Organisations.",
    'keyturn org create acme --name "Acme"',
    "keyturn org set acme oauth2.lifetime_seconds 600",
    "keyturn org list --format json",
)

Slug = Annotated[str, typer.Argument(help="The organisation's slug.")]


def shown(organisation: Organisation) -> Row:
    """Give what is shown of an organisation."""
    return {
        "slug": organisation.slug,
        "id": organisation.id,
        "name": organisation.name,
        "api_key": organisation.api_key,
        "disabled": organisation.disabled,
        "created_at": instant(organisation.created_at),
        "ended_at": instant(organisation.ended_at),
        "erased_at": instant(organisation.erased_at),
        "settings": {
            f"{dialect}.{name}": value
            for dialect, values in sorted(organisation.settings.items())
            for name, value in sorted(values.items())
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


@verb(app, columns="slug id name api_key disabled created_at ended_at erased_at settings")
async def list(verbs: Verbs) -> Answer:  # noqa: A001  # the command's name
    """List the organisations, oldest first."""
    return [shown(each) for each in await verbs.organisations()]


@verb(app)
async def show(verbs: Verbs, slug: Slug) -> Answer:
    """Show one organisation; of a deleted one also how far that is, and what it had."""
    organisation = await verbs.organisation(slug)
    row = shown(organisation)
    if organisation.ended_at is None:
        return row
    told = await verbs.deletion(slug)
    return {
        **row,
        "deletion": told.state,
        "deleted": told.deleted and {**told.deleted},
        "left": {**told.left},
    }


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
async def delete(
    verbs: Verbs,
    slug: Slug,
    yes_delete: Annotated[
        str | None, typer.Option("--yes-delete", metavar="SLUG", help="The slug again, instead of typing it.")
    ] = None,
) -> Answer:
    """Delete an organisation with all it has, for good; only identifiers stay, so that none is used again.

    Its tokens are dead at once. If the command is interrupted, the next one goes on.
    """
    if yes_delete is None:
        yes_delete = typer.prompt(f"This cannot be undone. Type {slug!r} to delete it", err=True)
    if yes_delete != slug:
        raise OperatorError("that is not the slug; nothing was deleted")
    deleted = await verbs.delete_organisation(slug, _progress if sys.stderr.isatty() else None)
    if not deleted.wiped:
        raise OperatorError(
            f"organisation {slug!r} is deleted, but the database's log still holds what it had: "
            "another program reads it; end that, then delete again"
        )
    told = await verbs.deletion(slug)
    counts = told.deleted and {**told.deleted}
    return {
        **shown(deleted.organisation),
        "records_erased": deleted.records,
        "deleted": counts,
        "complete": True,
    }


def _progress(erased: int, left: int) -> None:
    print(f"\rkeyturn: {erased} erased, {left} left ", end="" if left else "\n", file=sys.stderr, flush=True)


@verb(app)
async def set(  # noqa: A001  # the command's name
    verbs: Verbs,
    slug: Slug,
    setting: Annotated[str, typer.Argument(help="Such as oauth2.lifetime_seconds, policy.max_secret_days.")],
    value: Annotated[str | None, typer.Argument(help="The value; none goes back to the default.")] = None,
) -> Answer:
    """Set a dialect's setting, or one of the policy on secrets, for an organisation."""
    return shown(await verbs.set_organisation(slug, setting, value))
