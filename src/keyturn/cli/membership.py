"""``keyturn membership``: users' places in organisations, with their roles and teams."""

from typing import Annotated

import typer

from keyturn.cli.command import noun, verb
from keyturn.cli.output import Answer, Row, instant
from keyturn.cli.people_verbs import Place
from keyturn.cli.user import Named, Roles, Slug, Teams
from keyturn.cli.verbs import Verbs
from keyturn.core.errors import OperatorError

app = noun(
    "Memberships: users' places in organisations.",
    "keyturn membership add acme jon@mail.example --role checkmarx:admin",
    "keyturn membership list acme",
)

Words = list[str]


COLUMNS = "user_id name email at_home roles teams disabled created_at ended_at"
"""What ``shown`` gives."""


def shown(place: Place) -> Row:
    """Give what is shown of a membership."""
    user, membership = place.user, place.membership
    return {
        "user_id": user.id,
        "name": user.name,
        "email": user.email,
        "at_home": user.organisation_id == membership.organisation_id,
        "roles": [*membership.roles],
        "teams": [*place.teams],
        "disabled": membership.disabled,
        "created_at": instant(membership.created_at),
        "ended_at": instant(membership.ended_at),
    }


@verb(app)
async def add(
    verbs: Verbs,
    slug: Slug,
    user: Named,
    role: Roles = [],  # noqa: B006  # typer copies
    team: Teams = [],  # noqa: B006  # the same
) -> Answer:
    """Take a user of another organisation into this one, or back into it."""
    return shown(await verbs.add_member(slug, user, role, team))


@verb(app, columns=COLUMNS)
async def list(verbs: Verbs, slug: Slug) -> Answer:  # noqa: A001  # the command's name
    """List an organisation's members, oldest first."""
    return [shown(each) for each in await verbs.members(slug)]


@verb(app)
async def show(verbs: Verbs, slug: Slug, user: Named) -> Answer:
    """Show a user's place in an organisation."""
    return shown(await verbs.member(slug, user))


@verb(app)
async def change(
    verbs: Verbs,
    slug: Slug,
    user: Named,
    role: Annotated[
        Words | None, typer.Option(help="A role, as DIALECT:ROLE; repeatable; '' for none.")
    ] = None,
    team: Annotated[Words | None, typer.Option(help="A team's path or id; repeatable; '' for none.")] = None,
) -> Answer:
    """Give a member other roles or teams, and keep what is not given; they count from the next call on."""
    if role is None and team is None:
        raise OperatorError("say what to change: --role or --team")
    return shown(await verbs.change_member(slug, user, _without_empty(role), _without_empty(team)))


def _without_empty(words: Words | None) -> Words | None:
    return None if words is None else [word for word in words if word]


@verb(app)
async def disable(verbs: Verbs, slug: Slug, user: Named) -> Answer:
    """Let a user do nothing more in this organisation; their tokens for it are dead at once."""
    return shown(await verbs.disable_member(slug, user))


@verb(app)
async def enable(verbs: Verbs, slug: Slug, user: Named) -> Answer:
    """Let a user act in this organisation again."""
    return shown(await verbs.enable_member(slug, user))


@verb(app)
async def end(verbs: Verbs, slug: Slug, user: Named) -> Answer:
    """End a user's place in this organisation, with their API tokens for it and links to its entities."""
    return shown(await verbs.end_member(slug, user))
