"""``keyturn service-user``: users that stand for programs; everything else is as for a user."""

from typing import Annotated

import typer

from keyturn.cli.command import noun, verb
from keyturn.cli.output import Answer
from keyturn.cli.user import COLUMNS, Roles, Slug, Teams, shown
from keyturn.cli.verbs import Verbs
from keyturn.directory.users import UserWish

app = noun(
    "Service users: users that stand for programs. Otherwise as `keyturn user`.",
    "keyturn service-user create acme robot --role checkmarx:admin",
    "keyturn service-user list acme",
)


@verb(app)
async def create(
    verbs: Verbs,
    slug: Slug,
    name: Annotated[str, typer.Argument(help="The user name; the address is made of it.")],
    display_name: Annotated[str, typer.Option(help="As it is shown; the user name if not given.")] = "",
    role: Roles = [],  # noqa: B006  # typer copies
    team: Teams = [],  # noqa: B006  # the same
) -> Answer:
    """Make a service user; next: keyturn user-key create USER, or keyturn api-token create SLUG USER."""
    wish = UserWish(name=name, service=True, display_name=display_name, roles=tuple(role), teams=tuple(team))
    return shown(await verbs.create_user(slug, wish))


@verb(app, columns=COLUMNS)
async def list(verbs: Verbs, slug: Slug) -> Answer:  # noqa: A001  # the command's name
    """List the service users at home in an organisation, oldest first."""
    return [shown(each) for each in await verbs.users(slug) if each.service]
