"""What a file's rows come to: owners first, then secrets, each row with a verdict. Nothing is saved here."""

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.changes import Imported
from keyturn.core.errors import OperatorError
from keyturn.core.records import AuditEvent, Client, Credential, Entity, Membership, Organisation, User
from keyturn.core.secret import Dice, Secret
from keyturn.core.store_ports import DeploymentStore
from keyturn.core.vocabulary import ClientId, CredentialKind, UserId
from keyturn.directory.clients import ClientWish, client_made, new_client
from keyturn.directory.credentials import made
from keyturn.directory.entities import entity_made, new_entity
from keyturn.directory.import_rows import ClientRow, EntityRow, Line, Row, SecretRow, UserRow
from keyturn.directory.import_secrets import ImportPorts, Owner, kind_of, want
from keyturn.directory.memberships import check_roles, new_membership
from keyturn.directory.people_names import check_user_name
from keyturn.directory.users import UserWish, new_user, user_made

_CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~@-]{0,199}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_Key = tuple[str, str]


class Outcome(StrEnum):
    """What becomes of a row."""

    CREATED = "created"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


class Verdict(msgspec.Struct, frozen=True):
    """What becomes of a row, and why.

    Args:
        name: Of the owner it is about, as the file writes it.
        reason: Why it was refused; else what an operator should know.
    """

    line: int
    name: str
    outcome: Outcome
    reason: str = ""


class _Known(msgspec.Struct):
    """An owner that secrets may be added to.

    Args:
        fresh: Made by this file.
    """

    record: Owner
    fresh: bool
    held: dict[CredentialKind, list[Credential]] = {}


class Plan:
    """The records that a file comes to.

    Args:
        reserved: Client ids that a contract's built-in clients have.
        roles: All that the dialects declare.
        client_dialects: Wire formats that a client may have.
    """

    def __init__(
        self,
        actor: Actor,
        store: DeploymentStore,
        organisation: Organisation,
        ports: ImportPorts,
        *,
        reserved: Collection[str],
        roles: Collection[str],
        client_dialects: Collection[str],
        now: datetime,
        dice: Dice,
    ) -> None:
        """Begin with nothing."""
        self._actor = actor
        self._store = store
        self._inside = store.organisation_store(organisation.id)
        self._organisation = organisation
        self._ports = ports
        self._reserved = reserved
        self._roles = roles
        self._dialects = client_dialects
        self._now = now
        self._dice = dice
        self._owners: dict[_Key, _Known] = {}
        self._lines: dict[int, tuple[str, list[Outcome], list[str]]] = {}
        self._memberships: dict[str, Membership] = {}
        self._addresses: set[str] = set()
        self.records: dict[str, tuple[int, Imported]] = {}
        """By id: the line that asked for it, and what will be added."""
        self.events: dict[int, AuditEvent] = {}
        """By line: one event each, since everybody else's writes wait for them all."""
        self.grown: dict[str, Owner] = {}
        """Owners that were there and get a secret more."""
        self.to_hash: list[tuple[Credential, Secret]] = []

    async def follow(self, lines: Sequence[Line]) -> None:
        """Decide about every line."""
        for client in await self._inside.clients():
            self._owners["client", client.id] = _Known(client, fresh=False)
        for user in await self._inside.users():
            self._owners["user", user.name] = _Known(user, fresh=False)
        for entity in await self._inside.entities():
            self._owners["entity", entity.id] = _Known(entity, fresh=False)
        self._memberships = {each.user_id: each for each in await self._inside.memberships()}
        said: set[_Key] = set()
        for line in lines:
            name = "" if line.row is None else _name(line.row)
            self._lines[line.number] = (name, [], [])
            if line.row is None:
                self.refuse(line.number, line.problem)
            elif not isinstance(line.row, SecretRow):
                await self._decide(line.number, self._owner(line.number, line.row, said))
        for line in lines:
            if line.row is not None and not self._is_refused(line.number):
                await self._decide(line.number, self._secret(line.number, line.row))

    def refuse(self, number: int, reason: str) -> None:
        """Refuse a line after all."""
        _, outcomes, reasons = self._lines[number]
        outcomes.append(Outcome.REFUSED)
        reasons[:] = [reason]

    def verdicts(self) -> list[Verdict]:
        """Give one for each line, in the file's order."""
        return [
            Verdict(number, name, _sum(outcomes), "; ".join(reasons))
            for number, (name, outcomes, reasons) in self._lines.items()
        ]

    # --- one line ---

    async def _decide(self, number: int, decision: Any) -> None:
        try:
            outcome, reason = await decision
        except OperatorError as error:
            self.refuse(number, str(error))
        else:
            _, outcomes, reasons = self._lines[number]
            outcomes.extend([outcome] if outcome else [])
            reasons.extend([reason] if reason else [])

    def _is_refused(self, number: int) -> bool:
        return Outcome.REFUSED in self._lines[number][1]

    async def _owner(self, number: int, row: Row, said: set[_Key]) -> tuple[Outcome, str]:
        key = _key(row)
        if key in said:
            raise OperatorError("a row above is about the same")
        said.add(key)
        known = self._owners.get(key)
        wanted, member, event = await self._wanted(row)
        if known is not None:
            self._require_same(row, known.record, wanted, member)
            return Outcome.UNCHANGED, ""
        if isinstance(wanted, User) and wanted.email is not None:
            if wanted.email in self._addresses:
                raise OperatorError("a row above has the same e-mail address")
            self._addresses.add(wanted.email)
        self._owners[key] = _Known(wanted, fresh=True)
        self.records[wanted.id] = (number, wanted)
        if member is not None:
            self.records[member.id] = (number, member)
        self.events[number] = event
        return Outcome.CREATED, ""

    async def _wanted(self, row: Row) -> tuple[Owner, Membership | None, AuditEvent]:
        """Make what a row says an owner is, and the event that will tell of it."""
        now, dice, actor = self._now, self._dice, self._actor
        match row:
            case ClientRow():
                await self._check_client_id(row.client_id)
                members = {name: getattr(row, name) for name in ClientWish.__struct_fields__}
                wish = ClientWish(**(members | {"name": row.name or row.client_id}))
                client_id = ClientId(row.client_id)
                client = new_client(self._organisation, client_id, wish, self._dialects, now)
                return client, None, client_made(client, actor, now=now, dice=dice)
            case UserRow():
                fields = (name for name in UserWish.__struct_fields__ if name not in {"name", "teams"})
                asked = UserWish(name=row.user_name, **{name: getattr(row, name) for name in fields})
                user = new_user(self._organisation, asked, now=now, dice=dice)
                roles = check_roles(row.roles, self._roles)
                member = new_membership(user, self._organisation.id, roles, (), now, dice)
                return user, member, user_made(user, member, actor, now=now, dice=dice)
            case EntityRow():
                name, home = row.name or row.entity_id, self._organisation.id
                entity = new_entity(home, row.entity_id, name, row.entity_type, now=now, dice=dice)
                return entity, None, entity_made(entity, actor, now=now, dice=dice)
            case SecretRow():
                raise OperatorError("a secret is no owner")

    async def _check_client_id(self, client_id: str) -> None:
        """Accept a client id of another system.

        Tokens name it as their subject, so it must be no user's id (RFC 9700 section 4.15).
        """
        if not _CLIENT_ID.fullmatch(client_id):
            raise OperatorError("a client id has 1 to 200 ASCII letters, digits and inner . _ ~ @ -")
        if client_id in self._reserved:
            raise OperatorError("a contract's own client has that id")
        if _UUID.fullmatch(client_id.lower()):
            if client_id != client_id.lower():
                raise OperatorError("a client id that is a UUID is written in lower case")
            if await self._store.user_view(UserId(client_id)) is not None:
                raise OperatorError("a user has that id")

    def _require_same(self, row: Row, here: Owner, wanted: Owner, member: Membership | None) -> None:
        if here.ended_at is not None:
            raise OperatorError("was here and has ended; ids and user names are never used again")
        members = _COMPARED[type(wanted)]
        differ = [name for name in members if getattr(here, name) != getattr(wanted, name)]
        if isinstance(row, UserRow) and isinstance(here, User):
            held = self._memberships.get(here.id)
            if row.email_verified and here.email_verified_at is None:
                differ.append("email_verified")
            if member is not None and (held is None or set(held.roles) != set(member.roles)):
                differ.append("roles")
        if differ:
            raise OperatorError(f"is here already, with other values of {', '.join(differ)}")

    async def _secret(self, number: int, row: Row) -> tuple[Outcome | None, str]:
        if row.secret is None and row.secret_hash is None:
            if isinstance(row, SecretRow):
                raise OperatorError("neither a secret nor a secret_hash")
            return None, ""
        owner = self._owners.get(_key(row))
        if owner is None:
            raise OperatorError("no such owner, neither here nor in the file")
        if owner.record.ended_at is not None:
            raise OperatorError("its owner has ended")
        kind = kind_of(row, owner.record)
        held = await self._held(owner, kind)
        wanted = await want(
            row, owner.record, held, self._organisation, self._ports, now=self._now, dice=self._dice
        )
        credential = wanted.credential
        if credential is None:
            return Outcome.UNCHANGED, ""
        if kind is CredentialKind.API_TOKEN:
            await self._require_nobodys(credential, wanted.hashes)
        if wanted.clear is not None:
            # So that the next row of this owner sees that it is under a slow hash.
            held.append(msgspec.structs.replace(credential, verifier=""))
            self.to_hash.append((credential, wanted.clear))
        else:
            held.append(credential)
        self.records[credential.id] = (number, credential)
        if not owner.fresh:
            self.grown[owner.record.id] = owner.record
        self.events[number] = self._told_of(credential, self.events.get(number))
        return Outcome.CREATED, wanted.remark

    def _told_of(self, credential: Credential, owner_made: AuditEvent | None) -> AuditEvent:
        """Tell of a credential, with its owner where both come in one row."""
        if owner_made is not None:
            brought = {"credential": credential.id, "credential_kind": credential.kind}
            return msgspec.structs.replace(owner_made, details=owner_made.details | brought)
        return made(credential, self._actor, now=self._now, dice=self._dice, kind="credential.imported")

    async def _held(self, owner: _Known, kind: CredentialKind) -> list[Credential]:
        if kind not in owner.held:
            kept = [] if owner.fresh else await self._inside.credentials_of(owner.record.id, kind)
            owner.held = {**owner.held, kind: list(kept)}
        return owner.held[kind]

    async def _require_nobodys(self, credential: Credential, hashes: Sequence[bytes]) -> None:
        """Refuse an API token that is another's: found by its value, it must be one credential's only."""
        same = [record for _, record in self.records.values() if isinstance(record, Credential)]
        if any(each.lookup_hash == credential.lookup_hash for each in same):
            raise OperatorError("a row above has the same API token")
        if await self._store.credential_by_hash(hashes) is not None:
            raise OperatorError("somebody has this API token already")


_COMPARED: dict[type, tuple[str, ...]] = {
    Client: (*ClientWish.__struct_fields__,),
    User: ("name", "display_name", "given_name", "family_name", "email", "service", "mfa_required"),
    Entity: ("name", "type"),
}


def _key(row: Row) -> _Key:
    """Name the owner that a row is about.

    Raises:
        OperatorError: A row of a secret names none, or more than one; a user name cannot be.
    """
    names = {kind: getattr(row, f"{member}", None) for kind, member in _NAMES.items()}
    given = [(kind, name) for kind, name in names.items() if name is not None]
    if len(given) != 1:
        raise OperatorError("a secret is of exactly one client_id, user_name or entity_id")
    kind, name = given[0]
    return kind, check_user_name(name) if kind == "user" else name


_NAMES = {"client": "client_id", "user": "user_name", "entity": "entity_id"}


def _name(row: Row) -> str:
    return next((name for member in _NAMES.values() if (name := getattr(row, member, None))), "")


def _sum(outcomes: Sequence[Outcome]) -> Outcome:
    strongest = (Outcome.REFUSED, Outcome.CREATED)
    return next((each for each in strongest if each in outcomes), Outcome.UNCHANGED)
