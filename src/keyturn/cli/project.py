"""``keyturn project``: what roles and teams decide about."""

from typing import Annotated, Any

import typer

from keyturn.cli.command import noun, verb
from keyturn.cli.output import Answer, Row, instant
from keyturn.cli.user import Slug, Teams
from keyturn.cli.verbs import Verbs
from keyturn.core.errors import OperatorError
from keyturn.directory.projects import ProjectSight

app = noun(
    "Projects: what roles and teams decide about.",
    "keyturn project create acme payments --team /Root/Leaf",
    "keyturn project list acme",
)

Words = list[str]
ProjectName = Annotated[str, typer.Argument(metavar="PROJECT", help="The project's name or id.")]


COLUMNS = "project_id name teams open created_at"
"""What ``shown`` gives."""


def shown(sight: ProjectSight) -> Row:
    """Give what is shown of a project."""
    project = sight.project
    return {
        "project_id": project.id,
        "name": project.name,
        "teams": [*sight.teams],
        "open": project.open,
        "created_at": instant(project.created_at),
    }


@verb(app)
async def create(
    verbs: Verbs,
    slug: Slug,
    name: Annotated[str, typer.Argument(help="Its name.")],
    team: Teams = [],  # noqa: B006  # typer copies
    open_to_all: Annotated[
        bool, typer.Option("--open", help="Every user of the organisation sees it.")
    ] = False,
) -> Answer:
    """Make a project, for the members of some teams and of all above them."""
    return shown(await verbs.create_project(slug, name, team, open_to_all=open_to_all))


@verb(app, columns=COLUMNS)
async def list(verbs: Verbs, slug: Slug) -> Answer:  # noqa: A001  # the command's name
    """List an organisation's projects by name."""
    return [shown(each) for each in (await verbs.projects(slug)).projects]


@verb(app)
async def change(
    verbs: Verbs,
    slug: Slug,
    project: ProjectName,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    team: Annotated[Words | None, typer.Option(help="A team's path or id; repeatable; '' for none.")] = None,
    open_to_all: Annotated[bool | None, typer.Option("--open/--closed", help="Whether all see it.")] = None,
) -> Answer:
    """Change what is given and keep the rest."""
    given: dict[str, Any] = {
        "name": name,
        "teams": None if team is None else [each for each in team if each],
        "open_to_all": open_to_all,
    }
    changes = {member: value for member, value in given.items() if value is not None}
    if not changes:
        raise OperatorError("say what to change; keyturn project change --help lists it")
    return shown(await verbs.change_project(slug, project, changes))


@verb(app)
async def delete(verbs: Verbs, slug: Slug, project: ProjectName) -> Answer:
    """Delete a project."""
    return shown(await verbs.delete_project(slug, project))
