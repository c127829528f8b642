"""The verbs, carried out on a deployment's own store: access to it is the operator's authority."""

import contextlib
import os
import pwd
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from keyturn.app import LocalServices, check_chain, open_local, profiles, upkeep_of
from keyturn.cli.local_admin import LocalAdmin
from keyturn.cli.local_audit import LocalAudit
from keyturn.cli.local_master import LocalMaster
from keyturn.cli.local_notices import LocalNotices
from keyturn.cli.local_people import LocalPeople
from keyturn.cli.local_secrets import LocalSecrets
from keyturn.cli.verbs import Gone, KeySight, Ring, Turned
from keyturn.core.actors import Actor, operator
from keyturn.core.errors import OperatorError
from keyturn.core.identifiers import uuid7
from keyturn.core.records import AuditRow, Client, Organisation, SigningKey
from keyturn.core.secret_policy import GROUP
from keyturn.core.upkeep_ports import JobRun
from keyturn.core.vocabulary import Algorithm, KeyId, OrganisationId
from keyturn.directory import audit, clients, clock, deletion, lockout, organisations
from keyturn.directory.audit import TrailVerdict
from keyturn.directory.clients import ClientWish
from keyturn.directory.clock import Accepted, Looked
from keyturn.directory.deletion import Deleted, Deletion, Progress
from keyturn.directory.lifetimes import require_keys_outlive
from keyturn.directory.policy_settings import POLICY_SETTINGS
from keyturn.directory.ring_state import state_of
from keyturn.settings import Settings
from keyturn.upkeep.schedule import JobState
from keyturn.upkeep.scheduler import Scheduler


@contextlib.asynccontextmanager
async def open_verbs(settings: Settings) -> AsyncIterator["LocalVerbs"]:
    """Open the store for the time of one command."""
    async with open_local(settings) as services:
        upkeep = upkeep_of(services, settings)
        yield LocalVerbs(services, local_actor(), settings.public_url, upkeep)


def local_actor() -> Actor:
    """Name who runs the command."""
    return operator(_os_user())


def _os_user() -> str:
    # From the kernel, not from LOGNAME: the audit trail names whoever really ran the command.
    uid = os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


class LocalVerbs(LocalPeople, LocalSecrets, LocalAdmin, LocalAudit, LocalMaster, LocalNotices):
    """The ``Verbs`` of one open deployment."""

    def __init__(
        self, services: LocalServices, actor: Actor, public_url: str | None, upkeep: Scheduler
    ) -> None:
        """Act as ``actor``."""
        super().__init__(services, actor, public_url)
        self._upkeep = upkeep

    async def create_organisation(self, slug: str, name: str) -> Organisation:
        """Make an organisation."""
        return await organisations.create_organisation(
            self._actor, self._store, slug, name, now=self._now, dice=self._dice
        )

    async def organisations(self) -> Sequence[Organisation]:
        """List all organisations."""
        return await organisations.list_organisations(self._actor, self._store)

    async def organisation(self, slug: str) -> Organisation:
        """Show one organisation."""
        return await organisations.show_organisation(self._actor, self._store, slug)

    async def rename_organisation(self, slug: str, name: str) -> Organisation:
        """Give it another display name."""
        return await organisations.rename_organisation(
            self._actor, self._store, slug, name, now=self._now, dice=self._dice
        )

    async def disable_organisation(self, slug: str) -> Organisation:
        """Stop issuing under it."""
        return await organisations.disable_organisation(
            self._actor, self._store, slug, now=self._now, dice=self._dice
        )

    async def enable_organisation(self, slug: str) -> Organisation:
        """Issue under it again."""
        return await organisations.enable_organisation(
            self._actor, self._store, slug, now=self._now, dice=self._dice
        )

    async def set_organisation(self, slug: str, setting: str, value: str | None) -> Organisation:
        """Set a dialect's setting, or go back to its default."""
        organisation = await self.organisation(slug)
        services = self._services
        every = profiles(services.dialects).values()
        await require_keys_outlive(services.rings, organisation.id, every, setting, value, self._now)
        return await organisations.change_organisation_setting(
            self._actor,
            self._store,
            slug,
            setting,
            value,
            tables={
                GROUP: POLICY_SETTINGS,
                **{name: dialect.settings for name, dialect in self._services.dialects.items()},
            },
            now=self._now,
            dice=self._dice,
        )

    async def delete_organisation(self, slug: str, progress: Progress | None = None) -> Deleted:
        """End it and erase all it had."""
        return await deletion.delete_organisation(
            self._actor, self._store, slug, progress=progress, now=self._now, dice=self._dice
        )

    async def deletion(self, slug: str) -> Deletion:
        """Tell how far its deletion is."""
        return await deletion.show_deletion(self._actor, self._store, slug)

    async def create_client(self, slug: str, wish: ClientWish) -> Client:
        """Make a client in an organisation."""
        return await clients.create_client(
            self._actor,
            await self._store_of(slug),
            wish,
            dialects=self._dialects_on(wish.dialects),
            now=self._now,
            dice=self._dice,
        )

    async def clients(self, slug: str) -> Sequence[Client]:
        """List an organisation's clients."""
        return await clients.list_clients(self._actor, await self._store_of(slug))

    async def client(self, client_id: str) -> Client:
        """Show one client."""
        store, known = await self._client(client_id)
        return await clients.show_client(self._actor, store, known)

    async def change_client(self, client_id: str, changes: Mapping[str, Any]) -> Client:
        """Change what some members of a ``ClientWish`` say, and keep the others."""
        store, known = await self._client(client_id)
        client = await clients.show_client(self._actor, store, known)
        kept = {name: getattr(client, name) for name in ClientWish.__struct_fields__}
        wish = ClientWish(**(kept | dict(changes)))
        return await clients.change_client(
            self._actor,
            store,
            known,
            wish,
            dialects=self._dialects_on(wish.dialects, client.dialects),
            now=self._now,
            dice=self._dice,
        )

    async def disable_client(self, client_id: str) -> Client:
        """Issue nothing more to it."""
        store, known = await self._client(client_id)
        return await clients.disable_client(self._actor, store, known, now=self._now, dice=self._dice)

    async def enable_client(self, client_id: str) -> Client:
        """Issue to it again."""
        store, known = await self._client(client_id)
        return await clients.enable_client(self._actor, store, known, now=self._now, dice=self._dice)

    async def end_client(self, client_id: str) -> Client:
        """End it for good."""
        store, known = await self._client(client_id)
        return await clients.end_client(self._actor, store, known, now=self._now, dice=self._dice)

    async def clear_lockout(self, slug: str, user_name: str) -> str:
        """Forget the failures of a user name, and give it in its canonical form."""
        return await lockout.clear_lockout(
            self._actor,
            await self._store_of(slug),
            self._services.store.lockout(self._services.digester.tag),
            user_name,
            now=self._now,
            dice=self._dice,
        )

    async def rings(self, slug: str | None, shared: str | None) -> Sequence[Ring]:
        """List an organisation's signing keys, a shared ring's, or those of every issuer."""
        return [
            Ring(issuer, _sights(await self._store.signing_keys(issuer_id), self._now))
            for issuer, issuer_id, _ in await self._issuers(slug, shared)
        ]

    async def rotate(
        self, slug: str | None, shared: str | None, algorithm: Algorithm | None
    ) -> Sequence[Turned]:
        """Turn an organisation's rings, a shared one, or all; one algorithm's, or of all in use."""
        plan = self._services.ring_plan()
        return [
            await self._rotate(issuer, issuer_id, organisation_id, each)
            for issuer, issuer_id, organisation_id in await self._issuers(slug, shared)
            for each in ([algorithm] if algorithm else plan.algorithms_of(issuer_id))
        ]

    async def withdraw_key(self, key_id: str) -> Gone:
        """Take a signing key out of its key set at once; it never signs again."""
        now, known = self._now, KeyId(key_id)
        for issuer, issuer_id, organisation_id in await self._issuers(None, None):
            gone = await self._services.rings.withdraw(
                issuer_id,
                known,
                now,
                longest_lifetime=self._services.longest_lifetime(),
                actor=self._actor.name,
                request_id=uuid7(now, self._dice),
                organisation_id=organisation_id,
            )
            if gone is not None:
                ahead = gone.signs_from is not None and gone.signs_from > now
                return Gone(
                    issuer=issuer,
                    algorithm=gone.key.algorithm,
                    was=gone.was,
                    signs_from=gone.signs_from if ahead else None,
                )
        raise OperatorError(f"no signing key {key_id!r} is published; keyturn keys list shows them")

    async def tail_audit(self, limit: int) -> Sequence[AuditRow]:
        """Read the newest audit rows."""
        return await audit.tail_audit(self._actor, self._store, limit)

    async def verify_audit(self, noted: Mapping[int, bytes]) -> TrailVerdict:
        """Follow every audit chain and checkpoint."""
        key = await self._services.audit_keys.find()
        return await audit.verify_audit(
            self._actor,
            self._store,
            self._services.store.upkeep,
            check=check_chain,
            signature=key.verify if key is not None else None,
            noted=noted,
        )

    async def audit_key(self) -> dict[str, str] | None:
        """Give the public half of the audit key, if one was ever needed."""
        audit.check_reach(self._actor)
        key = await self._services.audit_keys.find()
        return None if key is None else key.public_jwk

    async def run_upkeep(self, job: str | None) -> Mapping[str, JobRun]:
        """Run a job now, or every one."""
        await self._upkeep.do_chores()  # the clock is looked at, and what this process noticed is noted
        return {name: await self._upkeep.run_now(name) for name in ([job] if job else self._upkeep.jobs)}

    async def upkeep_states(self) -> Sequence[JobState]:
        """Tell how every job stands."""
        return await self._upkeep.states()

    async def clock(self) -> Looked:
        """Compare the clock with the newest time in the store."""
        return await clock.show_clock(self._services.store.upkeep, now=self._now)

    async def accept_clock(self) -> Accepted:
        """Take the clock as it is."""
        return await clock.accept_clock(
            self._actor, self._store, self._services.store.upkeep, now=self._now, dice=self._dice
        )

    async def _rotate(
        self, issuer: str, issuer_id: str, organisation_id: OrganisationId | None, algorithm: Algorithm
    ) -> Turned:
        now = self._now
        result = await self._services.rings.rotate(
            issuer_id,
            algorithm,
            now,
            longest_lifetime=self._services.longest_lifetime(),
            actor=self._actor.name,
            request_id=uuid7(now, self._dice),
            organisation_id=organisation_id,
        )
        # Of the two results only one names keys: cli does not import keys, so it cannot ask for the class.
        key_id: str | None = getattr(result, "signing_key_id", None)
        return Turned(
            issuer=issuer,
            algorithm=algorithm,
            rotated=key_id is not None,
            active_at=result.active_at,
            key_id=key_id,
            retires_at=getattr(result, "retires_at", None),
        )

    async def _issuers(
        self, slug: str | None, shared: str | None
    ) -> Sequence[tuple[str, str, OrganisationId | None]]:
        """Name issuers: for people, in the store, and the organisation where it is one's own."""
        names = self._services.ring_plan().shared
        if shared is not None:
            if shared not in names:
                raise OperatorError(f"no shared issuer {shared!r}; there is {', '.join(names) or 'none'}")
            return [(shared, shared, None)]
        if slug is not None:
            organisation = await self.organisation(slug)
            if organisation.ended_at is not None:
                raise OperatorError(f"organisation {slug!r} has ended")
            return [(organisation.slug, organisation.id, organisation.id)]
        return [
            *((each.slug, each.id, each.id) for each in await self.organisations() if each.ended_at is None),
            *((name, name, None) for name in sorted(names)),
        ]


def _sights(ring: Sequence[SigningKey], now: datetime) -> Sequence[KeySight]:
    return [
        KeySight(
            id=key.id,
            algorithm=key.algorithm,
            state=state_of(key, ring, now),
            published_at=key.published_at,
            active_at=key.active_at,
            retires_at=key.retires_at,
        )
        for key in ring
    ]
