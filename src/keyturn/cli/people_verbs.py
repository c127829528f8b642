"""What the commands about people ask for: the part of ``Verbs`` on users, members, teams, projects, entities.

A user is named by id, by e-mail address, or as ``slug/user name``.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

from keyturn.core.records import Entity, Membership, Team, User
from keyturn.core.secret import Secret
from keyturn.directory.api_tokens import ApiTokenWish
from keyturn.directory.projects import ProjectPage, ProjectSight
from keyturn.directory.second_factor import Enrolment
from keyturn.directory.secret_status import SecretStatus
from keyturn.directory.secrets import ReadableSecret
from keyturn.directory.users import UserWish

End = datetime | timedelta | None
"""When a new secret expires: at an instant, after a duration, or as late as the policy allows."""


class Place(msgspec.Struct, frozen=True):
    """A user's place in an organisation as it is shown."""

    user: User
    membership: Membership
    teams: tuple[str, ...]


class TeamSight(msgspec.Struct, frozen=True):
    """A team as it is shown."""

    team: Team
    path: str


class PeopleVerbs(Protocol):
    """Everything that can be done about people; each raises ``OperatorError`` where the answer is no."""

    async def create_user(self, slug: str, wish: UserWish) -> User:
        """Make a user at home in an organisation."""
        ...

    async def users(self, slug: str) -> Sequence[User]:
        """List the users at home in an organisation."""
        ...

    async def user(self, named: str) -> User:
        """Show one user."""
        ...

    async def change_user(self, named: str, changes: Mapping[str, Any]) -> User:
        """Change what is said of a user."""
        ...

    async def disable_user(self, named: str) -> User:
        """Issue nothing more to a user, anywhere."""
        ...

    async def enable_user(self, named: str) -> User:
        """Issue to a user again."""
        ...

    async def end_user(self, named: str) -> User:
        """End a user for good."""
        ...

    async def log_out_user(self, named: str) -> User:
        """End every token of a user."""
        ...

    async def email_code(self, named: str) -> Secret:
        """Make the code that proves a user's e-mail address."""
        ...

    async def confirm_email(self, code: Secret) -> User:
        """Note that an e-mail address is proved."""
        ...

    async def set_password(self, named: str, password: Secret) -> SecretStatus:
        """Give a user a password in place of the one before."""
        ...

    async def enrol_totp(self, named: str, name: str) -> Enrolment:
        """Make a TOTP device that waits to be confirmed."""
        ...

    async def confirm_totp(self, named: str, code: Secret) -> tuple[SecretStatus, Sequence[Secret]]:
        """Take a device into use; gives recovery codes."""
        ...

    async def remove_totp(self, named: str) -> SecretStatus:
        """End a user's device and recovery codes."""
        ...

    async def totp_devices(self, named: str) -> Sequence[SecretStatus]:
        """List a user's devices."""
        ...

    async def renew_recovery_codes(self, named: str) -> Sequence[Secret]:
        """Make recovery codes in place of those there are."""
        ...

    async def create_user_key(
        self, named: str, name: str, dialects: Sequence[str], end: End
    ) -> tuple[SecretStatus, Secret]:
        """Make a user key; it is told once. No dialects stand for all that take one."""
        ...

    async def user_keys(self, named: str) -> Sequence[SecretStatus]:
        """List a user's keys."""
        ...

    async def rotate_user_key(
        self, credential_id: str, overlap: timedelta, end: End
    ) -> tuple[SecretStatus, Secret]:
        """Make the successor of a user key; it is told once."""
        ...

    async def add_member(self, slug: str, named: str, roles: Sequence[str], teams: Sequence[str]) -> Place:
        """Take a user into an organisation."""
        ...

    async def members(self, slug: str) -> Sequence[Place]:
        """List an organisation's members."""
        ...

    async def member(self, slug: str, named: str) -> Place:
        """Show a user's place in an organisation."""
        ...

    async def change_member(
        self, slug: str, named: str, roles: Sequence[str] | None, teams: Sequence[str] | None
    ) -> Place:
        """Give a member other roles or teams; None keeps them."""
        ...

    async def disable_member(self, slug: str, named: str) -> Place:
        """Let a user do nothing more in an organisation."""
        ...

    async def enable_member(self, slug: str, named: str) -> Place:
        """Let a user act in an organisation again."""
        ...

    async def end_member(self, slug: str, named: str) -> Place:
        """End a user's place in an organisation."""
        ...

    async def create_team(self, slug: str, name: str, parent: str | None) -> TeamSight:
        """Make a team, at the root or under a parent."""
        ...

    async def teams(self, slug: str) -> Sequence[TeamSight]:
        """List an organisation's teams by path."""
        ...

    async def rename_team(self, slug: str, team: str, name: str) -> TeamSight:
        """Give a team another name."""
        ...

    async def move_team(self, slug: str, team: str, parent: str | None) -> TeamSight:
        """Put a team under another parent, or at the root."""
        ...

    async def end_team(self, slug: str, team: str) -> TeamSight:
        """End a team that has none below it."""
        ...

    async def create_project(
        self, slug: str, name: str, teams: Sequence[str], *, open_to_all: bool
    ) -> ProjectSight:
        """Make a project."""
        ...

    async def projects(self, slug: str) -> ProjectPage:
        """List an organisation's projects by name."""
        ...

    async def change_project(self, slug: str, project: str, changes: Mapping[str, Any]) -> ProjectSight:
        """Change ``name``, ``teams`` or ``open_to_all`` of a project, named by name or id."""
        ...

    async def delete_project(self, slug: str, project: str) -> ProjectSight:
        """Delete a project, named by name or id."""
        ...

    async def create_api_token(
        self, slug: str, owner: str, wish: ApiTokenWish
    ) -> tuple[SecretStatus, Secret]:
        """Make an API token; it is told once. Without dialects it works in all that take one."""
        ...

    async def api_tokens(self, slug: str, owner: str) -> Sequence[SecretStatus]:
        """List an owner's API tokens for an organisation."""
        ...

    async def regenerate_api_token(self, credential_id: str) -> tuple[SecretStatus, Secret]:
        """Make an API token anew; it is told once, and the old one has ended."""
        ...

    async def create_entity(self, slug: str, entity_id: str, name: str, type_: str) -> Entity:
        """Make an entity."""
        ...

    async def entities(self, slug: str) -> Sequence[Entity]:
        """List an organisation's entities."""
        ...

    async def entity(self, entity_id: str) -> Entity:
        """Show one entity."""
        ...

    async def link_entity(self, entity_id: str, named: str) -> Entity:
        """Let a user look after an entity's secret."""
        ...

    async def unlink_entity(self, entity_id: str, named: str) -> Entity:
        """Let a user look after it no longer."""
        ...

    async def disable_entity(self, entity_id: str) -> Entity:
        """Issue nothing more to an entity."""
        ...

    async def enable_entity(self, entity_id: str) -> Entity:
        """Issue to an entity again."""
        ...

    async def end_entity(self, entity_id: str) -> Entity:
        """End an entity for good."""
        ...

    async def reset_entity_secret(self, entity_id: str, period: timedelta | None) -> ReadableSecret:
        """Make an entity's secret anew."""
        ...

    async def read_entity_secret(self, entity_id: str) -> ReadableSecret:
        """Read an entity's secret again."""
        ...

    async def entity_secrets(self, entity_id: str) -> Sequence[SecretStatus]:
        """List an entity's secrets."""
        ...
