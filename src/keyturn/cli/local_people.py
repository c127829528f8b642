"""The verbs about members, teams, projects, API tokens and entities, on a deployment's own store."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from keyturn.cli.local_ground import named_client
from keyturn.cli.local_users import LocalUsers
from keyturn.cli.people_verbs import Place, TeamSight
from keyturn.core.errors import OperatorError, Refusal, Unavailable
from keyturn.core.records import Entity, Membership, Team
from keyturn.core.secret import Secret
from keyturn.core.store_ports import OrganisationStore
from keyturn.core.vocabulary import CredentialKind, ProjectId, UserId
from keyturn.directory import api_tokens, entities, memberships, projects, secrets, teams
from keyturn.directory.api_tokens import ApiTokenWish
from keyturn.directory.projects import ProjectPage, ProjectSight
from keyturn.directory.secret_status import SecretStatus
from keyturn.directory.secrets import ReadableSecret
from keyturn.directory.team_tree import TeamTree


class LocalPeople(LocalUsers):
    """The rest of ``PeopleVerbs``."""

    async def add_member(self, slug: str, named: str, roles: Sequence[str], teams: Sequence[str]) -> Place:
        """Take a user into an organisation."""
        store = await self._store_of(slug)
        _, user_id = await self._user(named)
        made = await memberships.add_member(
            self._actor,
            self._store,
            store.organisation_id,
            user_id,
            role_names=tuple(roles),
            team_names=tuple(teams),
            roles=self._roles(),
            **self._at,
        )
        return await self._place(store, made)

    async def members(self, slug: str) -> Sequence[Place]:
        """List an organisation's members."""
        store = await self._store_of(slug)
        tree = TeamTree(await store.teams())
        listed = await memberships.list_members(self._actor, store)
        return [await self._place(store, each, tree) for each in listed]

    async def member(self, slug: str, named: str) -> Place:
        """Show a user's place in an organisation."""
        store, user_id = await self._member(slug, named)
        return await self._place(store, await memberships.show_member(self._actor, store, user_id))

    async def change_member(
        self, slug: str, named: str, roles: Sequence[str] | None, teams: Sequence[str] | None
    ) -> Place:
        """Give a member other roles or teams; None keeps them."""
        store, user_id = await self._member(slug, named)
        changed = await memberships.change_member(
            self._actor,
            store,
            user_id,
            role_names=None if roles is None else tuple(roles),
            team_names=None if teams is None else tuple(teams),
            roles=self._roles(),
            **self._at,
        )
        return await self._place(store, changed)

    async def disable_member(self, slug: str, named: str) -> Place:
        """Let a user do nothing more in an organisation."""
        store, user_id = await self._member(slug, named)
        changed = await memberships.disable_member(self._actor, store, user_id, **self._at)
        return await self._place(store, changed)

    async def enable_member(self, slug: str, named: str) -> Place:
        """Let a user act in an organisation again."""
        store, user_id = await self._member(slug, named)
        changed = await memberships.enable_member(self._actor, store, user_id, **self._at)
        return await self._place(store, changed)

    async def end_member(self, slug: str, named: str) -> Place:
        """End a user's place in an organisation."""
        store, user_id = await self._member(slug, named)
        changed = await memberships.end_member(self._actor, store, user_id, **self._at)
        return await self._place(store, changed)

    async def create_team(self, slug: str, name: str, parent: str | None) -> TeamSight:
        """Make a team, at the root or under a parent."""
        store = await self._store_of(slug)
        made = await teams.create_team(self._actor, store, name, parent, **self._at)
        return await self._team(store, made)

    async def teams(self, slug: str) -> Sequence[TeamSight]:
        """List an organisation's teams by path."""
        tree = await teams.read_tree(self._actor, await self._store_of(slug))
        return [TeamSight(each, tree.path(each.id)) for each in tree.in_order()]

    async def rename_team(self, slug: str, team: str, name: str) -> TeamSight:
        """Give a team another name."""
        store = await self._store_of(slug)
        changed = await teams.rename_team(self._actor, store, team, name, **self._at)
        return await self._team(store, changed)

    async def move_team(self, slug: str, team: str, parent: str | None) -> TeamSight:
        """Put a team under another parent, or at the root."""
        store = await self._store_of(slug)
        changed = await teams.move_team(self._actor, store, team, parent, **self._at)
        return await self._team(store, changed)

    async def end_team(self, slug: str, team: str) -> TeamSight:
        """End a team that has none below it."""
        store = await self._store_of(slug)
        path = await self._team(store, await teams.show_team(self._actor, store, team))
        ended = await teams.end_team(self._actor, store, team, **self._at)
        return msgspec.structs.replace(path, team=ended)

    async def create_project(
        self, slug: str, name: str, teams: Sequence[str], *, open_to_all: bool
    ) -> ProjectSight:
        """Make a project."""
        store = await self._store_of(slug)
        with _in_plain_words():
            return await projects.create_project(
                self._actor, store, name, teams, open_to_all=open_to_all, **self._at
            )

    async def projects(self, slug: str) -> ProjectPage:
        """List an organisation's projects by name."""
        return await projects.list_projects(self._actor, await self._store_of(slug))

    async def change_project(self, slug: str, project: str, changes: Mapping[str, Any]) -> ProjectSight:
        """Change ``name``, ``teams`` or ``open_to_all`` of a project, named by name or id."""
        store = await self._store_of(slug)
        found = await self._project(store, project)
        with _in_plain_words():
            return await projects.change_project(self._actor, store, found.project.id, **changes, **self._at)

    async def delete_project(self, slug: str, project: str) -> ProjectSight:
        """Delete a project, named by name or id."""
        store = await self._store_of(slug)
        found = await self._project(store, project)
        with _in_plain_words():
            await projects.delete_project(self._actor, store, found.project.id, **self._at)
        return found

    async def create_api_token(
        self, slug: str, owner: str, wish: ApiTokenWish
    ) -> tuple[SecretStatus, Secret]:
        """Make an API token of a member or client; it is told once."""
        store = await self._store_of(slug)
        complete = msgspec.structs.replace(
            wish,
            owner_id=await self._owner(store, owner),
            dialects=self._dialects(CredentialKind.API_TOKEN, wish.dialects),
        )
        made, secret = await api_tokens.create_api_token(
            self._actor,
            self._store,
            store.organisation_id,
            complete,
            digester=self._services.digester,
            **self._at,
        )
        return await self._status(store, made), secret

    async def api_tokens(self, slug: str, owner: str) -> Sequence[SecretStatus]:
        """List an owner's API tokens for an organisation."""
        store = await self._store_of(slug)
        owner_id = await self._owner(store, owner)
        listed = await api_tokens.list_api_tokens(self._actor, self._store, store.organisation_id, owner_id)
        return await self._statuses(store, listed)

    async def regenerate_api_token(self, credential_id: str) -> tuple[SecretStatus, Secret]:
        """Make an API token anew; it is told once, and the old one has ended."""
        store, known = await self._credential(credential_id)
        made, secret = await api_tokens.regenerate_api_token(
            self._actor,
            self._store,
            store.organisation_id,
            known,
            digester=self._services.digester,
            **self._at,
        )
        return await self._status(store, made), secret

    async def create_entity(self, slug: str, entity_id: str, name: str, type_: str) -> Entity:
        """Make an entity."""
        store = await self._store_of(slug)
        return await entities.create_entity(self._actor, store, entity_id, name, type_, **self._at)

    async def entities(self, slug: str) -> Sequence[Entity]:
        """List an organisation's entities."""
        return await entities.list_entities(self._actor, await self._store_of(slug))

    async def entity(self, entity_id: str) -> Entity:
        """Show one entity."""
        return await entities.show_entity(self._actor, *await self._entity(entity_id))

    async def link_entity(self, entity_id: str, named: str) -> Entity:
        """Let a user look after an entity's secret."""
        store, known = await self._entity(entity_id)
        _, user_id = await self._user(named)
        return await entities.link_user(self._actor, store, known, user_id, **self._at)

    async def unlink_entity(self, entity_id: str, named: str) -> Entity:
        """Let a user look after it no longer."""
        store, known = await self._entity(entity_id)
        _, user_id = await self._user(named)
        return await entities.unlink_user(self._actor, store, known, user_id, **self._at)

    async def disable_entity(self, entity_id: str) -> Entity:
        """Issue nothing more to an entity."""
        return await entities.disable_entity(self._actor, *await self._entity(entity_id), **self._at)

    async def enable_entity(self, entity_id: str) -> Entity:
        """Issue to an entity again."""
        return await entities.enable_entity(self._actor, *await self._entity(entity_id), **self._at)

    async def end_entity(self, entity_id: str) -> Entity:
        """End an entity for good."""
        return await entities.end_entity(self._actor, *await self._entity(entity_id), **self._at)

    async def reset_entity_secret(self, entity_id: str, period: timedelta | None) -> ReadableSecret:
        """Make an entity's secret anew."""
        store, known = await self._entity(entity_id)
        with _in_plain_words():
            return await secrets.reset_secret(
                self._actor,
                store,
                known,
                period,
                dialects=self._dialects(CredentialKind.ENTITY_SECRET),
                sealer=self._services.sealer,
                digester=self._services.digester,
                **self._at,
            )

    async def read_entity_secret(self, entity_id: str) -> ReadableSecret:
        """Read an entity's secret again."""
        store, known = await self._entity(entity_id)
        with _in_plain_words():
            return await secrets.read_secret(
                self._actor, store, known, sealer=self._services.sealer, **self._at
            )

    async def entity_secrets(self, entity_id: str) -> Sequence[SecretStatus]:
        """List an entity's secrets."""
        store, known = await self._entity(entity_id)
        return await self._statuses(store, await secrets.entity_secrets(self._actor, store, known))

    async def _member(self, slug: str, named: str) -> tuple[OrganisationStore, UserId]:
        _, user_id = await self._user(named)
        return await self._store_of(slug), user_id

    async def _owner(self, store: OrganisationStore, named: str) -> str:
        """Find whose an API token is: a client of the organisation by id, else a user."""
        view = await self._store.client_view(named_client(named))
        if view is not None and view.organisation.id == store.organisation_id:
            return view.client.id
        return (await self._user(named))[1]

    async def _place(
        self, store: OrganisationStore, membership: Membership, tree: TeamTree | None = None
    ) -> Place:
        view = await self._store.user_view(membership.user_id)
        if view is None:
            raise OperatorError(f"no user {membership.user_id!r}")
        tree = tree or TeamTree(await store.teams())
        return Place(view.user, membership, tree.paths(membership.teams))

    async def _team(self, store: OrganisationStore, team: Team) -> TeamSight:
        return TeamSight(team, TeamTree(await store.teams()).path(team.id))

    async def _project(self, store: OrganisationStore, named: str) -> ProjectSight:
        found = await projects.list_projects(self._actor, store, name=named)
        if found.projects:
            return found.projects[0]
        with _in_plain_words():
            return await projects.show_project(self._actor, store, ProjectId(named))


@contextlib.contextmanager
def _in_plain_words() -> Iterator[None]:
    """Tell an operator what a caller of the HTTP API would be told as a refusal."""
    try:
        yield
    except Unavailable:
        raise
    except Refusal as refusal:
        words = refusal.description or refusal.reason.replace("_", " ")
        raise OperatorError(words) from None
