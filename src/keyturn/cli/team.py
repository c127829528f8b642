"""``keyturn team``: the tree of an organisation's teams."""

from typing import Annotated

import typer

from keyturn.cli.command import noun, verb
from keyturn.cli.output import Answer, Row, instant
from keyturn.cli.people_verbs import TeamSight
from keyturn.cli.user import Slug
from keyturn.cli.verbs import Verbs

app = noun(
    "Teams: a tree in each organisation.",
    "keyturn team create acme Leaf --parent /Root",
    "keyturn team list acme",
)

TeamName = Annotated[str, typer.Argument(metavar="TEAM", help="The team's path, as /Root/Left, or id.")]
Parent = Annotated[str | None, typer.Option(help="The team above it, by path or id; the root if not given.")]


COLUMNS = "path team_id created_at ended_at"
"""What ``shown`` gives."""


def shown(sight: TeamSight) -> Row:
    """Give what is shown of a team."""
    return {
        "path": sight.path,
        "team_id": sight.team.id,
        "created_at": instant(sight.team.created_at),
        "ended_at": instant(sight.team.ended_at),
    }


@verb(app)
async def create(
    verbs: Verbs, slug: Slug, name: Annotated[str, typer.Argument(help="Its name.")], parent: Parent = None
) -> Answer:
    """Make a team, at the root or under another."""
    return shown(await verbs.create_team(slug, name, parent))


@verb(app, columns=COLUMNS)
async def list(verbs: Verbs, slug: Slug) -> Answer:  # noqa: A001  # the command's name
    """List an organisation's teams by path."""
    return [shown(each) for each in await verbs.teams(slug)]


@verb(app)
async def rename(
    verbs: Verbs, slug: Slug, team: TeamName, name: Annotated[str, typer.Argument(help="The new name.")]
) -> Answer:
    """Give a team another name; what it is assigned to stays."""
    return shown(await verbs.rename_team(slug, team, name))


@verb(app)
async def move(verbs: Verbs, slug: Slug, team: TeamName, parent: Parent = None) -> Answer:
    """Put a team with all below it under another one, or at the root."""
    return shown(await verbs.move_team(slug, team, parent))


@verb(app)
async def end(verbs: Verbs, slug: Slug, team: TeamName) -> Answer:
    """End a team that has none below it; its members and projects lose it."""
    return shown(await verbs.end_team(slug, team))
