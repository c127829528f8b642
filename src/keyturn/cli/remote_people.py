"""The verbs about members, teams, projects, API tokens and entities, asked of a server's admin API."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from keyturn.admin.requests import Facts
from keyturn.cli.people_verbs import Place, TeamSight
from keyturn.cli.remote_ground import given, record_of, status_of
from keyturn.cli.remote_users import RemoteUsers
from keyturn.core.errors import NothingThere, OperatorError
from keyturn.core.records import Credential, Entity, Membership, Project, Team, User
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import OrganisationId
from keyturn.directory.api_tokens import ApiTokenWish
from keyturn.directory.projects import ProjectPage, ProjectSight
from keyturn.directory.secret_status import SecretStatus
from keyturn.directory.secrets import ReadableSecret


class RemotePeople(RemoteUsers):
    """The rest of ``PeopleVerbs``."""

    async def add_member(self, slug: str, named: str, roles: Sequence[str], teams: Sequence[str]) -> Place:
        """Take a user into an organisation."""
        try:
            user: str = (await self._user(named)).id
        except NothingThere:
            user = named  # at home where this token does not reach: the server knows whether that may be
        more = given(roles=tuple(roles) or None, teams=tuple(teams) or None)
        return _place(await self._ask("members.create", organisation=slug, user=user, **more))

    async def members(self, slug: str) -> Sequence[Place]:
        """List an organisation's members."""
        return [_place(each) for each in await self._all("members.list", organisation=slug)]

    async def member(self, slug: str, named: str) -> Place:
        """Show a user's place in an organisation."""
        return _place(await self._member(slug, named))

    async def change_member(
        self, slug: str, named: str, roles: Sequence[str] | None, teams: Sequence[str] | None
    ) -> Place:
        """Give a member other roles or teams; None keeps them."""
        found = await self._member(slug, named)
        path = {"organisation": slug, "user": found["user_id"]}
        more = given(roles=roles, teams=teams)
        return _place(await self._ask("members.change", **path, version=found["version"], **more))

    async def disable_member(self, slug: str, named: str) -> Place:
        """Let a user do nothing more in an organisation."""
        return await self._do_to_member(slug, named, "disable")

    async def enable_member(self, slug: str, named: str) -> Place:
        """Let a user act in an organisation again."""
        return await self._do_to_member(slug, named, "enable")

    async def end_member(self, slug: str, named: str) -> Place:
        """End a user's place in an organisation."""
        return await self._do_to_member(slug, named, "end")

    async def create_team(self, slug: str, name: str, parent: str | None) -> TeamSight:
        """Make a team, at the root or under a parent."""
        return _team(await self._ask("teams.create", organisation=slug, name=name, **given(parent=parent)))

    async def teams(self, slug: str) -> Sequence[TeamSight]:
        """List an organisation's teams by path."""
        found = [_team(each) for each in await self._all("teams.list", organisation=slug)]
        return sorted(found, key=lambda each: each.path.casefold())

    async def rename_team(self, slug: str, team: str, name: str) -> TeamSight:
        """Give a team another name."""
        path, version = await self._team(slug, team)
        return _team(await self._ask("teams.change", **path, version=version, name=name))

    async def move_team(self, slug: str, team: str, parent: str | None) -> TeamSight:
        """Put a team under another parent, or at the root."""
        path, version = await self._team(slug, team)
        return _team(await self._ask("teams.change", **path, version=version, parent=parent))

    async def end_team(self, slug: str, team: str) -> TeamSight:
        """End a team that has none below it."""
        path, _ = await self._team(slug, team)
        return _team(await self._ask("teams.end", **path))

    async def create_project(
        self, slug: str, name: str, teams: Sequence[str], *, open_to_all: bool
    ) -> ProjectSight:
        """Make a project."""
        more = given(teams=tuple(teams) or None, open=open_to_all)
        return _project(await self._ask("projects.create", organisation=slug, name=name, **more))

    async def projects(self, slug: str) -> ProjectPage:
        """List an organisation's projects by name."""
        found = tuple(_project(each) for each in await self._all("projects.list", organisation=slug))
        return ProjectPage(found, len(found))

    async def change_project(self, slug: str, project: str, changes: Mapping[str, Any]) -> ProjectSight:
        """Change ``name``, ``teams`` or ``open_to_all`` of a project, named by name or id."""
        path, version = await self._project(slug, project)
        wanted = {"open" if name == "open_to_all" else name: value for name, value in changes.items()}
        return _project(await self._ask("projects.change", **path, version=version, **wanted))

    async def delete_project(self, slug: str, project: str) -> ProjectSight:
        """Delete a project, named by name or id."""
        path, _ = await self._project(slug, project)
        return _project(await self._ask("projects.delete", **path))

    async def create_api_token(
        self, slug: str, owner: str, wish: ApiTokenWish
    ) -> tuple[SecretStatus, Secret]:
        """Make an API token of a member or client; it is told once."""
        lifetime = None if wish.lifetime is None else int(wish.lifetime.total_seconds())
        more = given(
            dialects=wish.dialects or None,
            roles=wish.roles,
            scopes=wish.scopes,
            mfa=wish.mfa or None,
            lifetime_seconds=lifetime,
        )
        owner_id = await self._owner(slug, owner)
        made = await self._ask("api_tokens.create", organisation=slug, owner=owner_id, name=wish.name, **more)
        return status_of(made), made["secret"]

    async def api_tokens(self, slug: str, owner: str) -> Sequence[SecretStatus]:
        """List an owner's API tokens for an organisation."""
        owner_id = await self._owner(slug, owner)
        found = await self._all("api_tokens.list", organisation=slug, owner=owner_id)
        return [status_of(each) for each in found]

    async def regenerate_api_token(self, credential_id: str) -> tuple[SecretStatus, Secret]:
        """Make an API token anew; it is told once, and the old one has ended."""
        made = await self._do(credential_id, "regenerate")
        return status_of(made), made["secret"]

    async def create_entity(self, slug: str, entity_id: str, name: str, type_: str) -> Entity:
        """Make an entity."""
        wanted: Facts = {"id": entity_id, "name": name, "type": type_}
        return record_of(Entity, await self._ask("entities.create", organisation=slug, **wanted))

    async def entities(self, slug: str) -> Sequence[Entity]:
        """List an organisation's entities."""
        return [record_of(Entity, each) for each in await self._all("entities.list", organisation=slug)]

    async def entity(self, entity_id: str) -> Entity:
        """Show one entity."""
        return record_of(Entity, await self._ask("entities.find", entity=entity_id))

    async def link_entity(self, entity_id: str, named: str) -> Entity:
        """Let a user look after an entity's secret."""
        return await self._do_to_entity(entity_id, "link", user=await self._linked(entity_id, named))

    async def unlink_entity(self, entity_id: str, named: str) -> Entity:
        """Let a user look after it no longer."""
        return await self._do_to_entity(entity_id, "unlink", user=await self._linked(entity_id, named))

    async def disable_entity(self, entity_id: str) -> Entity:
        """Issue nothing more to an entity."""
        return await self._do_to_entity(entity_id, "disable")

    async def enable_entity(self, entity_id: str) -> Entity:
        """Issue to an entity again."""
        return await self._do_to_entity(entity_id, "enable")

    async def end_entity(self, entity_id: str) -> Entity:
        """End an entity for good."""
        return await self._do_to_entity(entity_id, "end")

    async def reset_entity_secret(self, entity_id: str, period: timedelta | None) -> ReadableSecret:
        """Make an entity's secret anew."""
        seconds = None if period is None else int(period.total_seconds())
        path = await self._entity(entity_id)
        return _readable(await self._ask("entity_secrets.reset", **path, **given(lifetime_seconds=seconds)))

    async def read_entity_secret(self, entity_id: str) -> ReadableSecret:
        """Read an entity's secret again."""
        return _readable(await self._ask("entity_secrets.read", **await self._entity(entity_id)))

    async def entity_secrets(self, entity_id: str) -> Sequence[SecretStatus]:
        """List an entity's secrets."""
        path = await self._entity(entity_id)
        return [status_of(each) for each in await self._all("entity_secrets.list", **path)]

    # --- what is named ---

    async def _member(self, slug: str, named: str) -> Facts:
        """Find a member; of a guest the token may know no more than the id."""
        try:
            user: str = (await self._user(named)).id
        except NothingThere:
            if "@" in named or "/" in named:
                raise
            user = named
        return await self._ask("members.show", organisation=slug, user=user)

    async def _do_to_member(self, slug: str, named: str, verb: str) -> Place:
        found = await self._member(slug, named)
        return _place(await self._ask(f"members.{verb}", organisation=slug, user=found["user_id"]))

    async def _do_to_entity(self, entity_id: str, verb: str, **more: Any) -> Entity:
        path = await self._entity(entity_id)
        return record_of(Entity, await self._ask(f"entities.{verb}", **path, **more))

    async def _linked(self, entity_id: str, named: str) -> str:
        await self._entity(entity_id)
        return (await self._user(named)).id

    async def _team(self, slug: str, named: str) -> tuple[Facts, int]:
        """Find a team by its id, or by its path without regard to case; give its path in the API too."""
        asked = "/" + named.strip("/").casefold()
        for each in await self._all("teams.list", organisation=slug):
            if each["id"] == named or each["path"].casefold() == asked:
                return {"organisation": slug, "team": each["id"]}, each["version"]
        raise OperatorError(f"no team {named!r}")

    async def _project(self, slug: str, named: str) -> tuple[Facts, int]:
        found = await self._all("projects.list", organisation=slug, name=named)
        shown = found[0] if found else await self._ask("projects.show", organisation=slug, project=named)
        return {"organisation": slug, "project": shown["id"]}, shown["version"]

    async def _owner(self, slug: str, named: str) -> str:
        """Find whose an API token is: a client of the organisation by id, else a user."""
        if "@" not in named and "/" not in named:
            try:
                client: str = (await self._ask("clients.show", organisation=slug, client=named.lower()))["id"]
            except OperatorError:
                pass  # a user's, or there is none; a token may reach users and not clients
            else:
                return client
        return (await self._user(named)).id


def _place(facts: Facts) -> Place:
    """Make what is shown of a member; who a guest is may not be told."""
    home = OrganisationId(facts["organisation_id"] if facts["at_home"] else "")
    user = User(
        id=facts["user_id"],
        organisation_id=home,
        name=facts["user_name"] or "",
        display_name="",
        email=facts["user_email"],
        created_at=facts["created_at"],
    )
    return Place(user, record_of(Membership, facts), facts["team_paths"])


def _team(facts: Facts) -> TeamSight:
    return TeamSight(record_of(Team, facts), facts["path"])


def _project(facts: Facts) -> ProjectSight:
    return ProjectSight(record_of(Project, facts), facts["team_paths"])


def _readable(facts: Facts) -> ReadableSecret:
    credential: Credential = status_of(facts).credential
    return ReadableSecret(credential, facts["secret"])
