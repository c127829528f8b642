"""The verbs about the master key, carried out beside the data: with the keys that this process was given."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from keyturn.cli.local_ground import LocalGround
from keyturn.core.errors import OperatorError
from keyturn.core.upkeep_ports import JobRun, Node
from keyturn.directory import master_key
from keyturn.directory.master_key import MasterKeyStanding
from keyturn.upkeep.scheduler import LEASE, Scheduler

LOOK_SECONDS = 0.5
_JOB = "master-key"


class LocalMaster(LocalGround):
    """The part of ``Verbs`` that is about the master key."""

    _upkeep: Scheduler

    async def master_keys(self) -> MasterKeyStanding:
        """Tell how the master keys stand."""
        services = self._services
        return await master_key.show_master_keys(
            self._actor, self._store, services.store.upkeep, services.sealer, now=self._now
        )

    async def add_master_key(self) -> str:
        """Make a master key beside those there are; nothing is sealed under it yet."""
        await self.master_keys()  # may this actor, and is the store there?
        return self._services.master_keys.add()

    async def rotate_master_key(
        self, key_id: str | None, patience: timedelta, tell: Callable[[str], None]
    ) -> MasterKeyStanding:
        """Bring in another master key: have servers take it up, use it, and seal everything again under it.

        What another run has done already is not done again, so this is also how an interrupted one goes on.
        """
        key_id = key_id or await self._successor(tell)
        standing = await self.master_keys()
        # Nothing says which is in use after a restore to before the first rotation: then the file's first is.
        unsaid = standing.since is None and standing.elsewhere() > 0
        if unsaid or key_id != standing.in_use:
            await self._until(
                patience,
                lambda node: key_id in node.held,
                f"hold the master key {key_id}; give it to them, or stop them",
            )
            # What is not in the file any more, since somebody wrote over it, must not come into use.
            await asyncio.to_thread(self._services.master_keys.reload)
            await master_key.use_master_key(
                self._actor,
                self._store,
                self._services.store.upkeep,
                self._services.sealer,
                key_id,
                **self._at,
            )
            tell(f"in use: {key_id}")
        await self._until(
            patience,
            lambda node: node.sealing_under == key_id,
            f"seal under the master key {key_id}",
        )
        return await self._seal_again(patience, tell)

    async def retire_master_key(self, key_id: str) -> str | None:
        """Take a master key away that nothing needs any more; give the file that it was taken from."""
        services = self._services
        await master_key.retire_master_key(
            self._actor, self._store, services.store.upkeep, services.sealer, key_id, **self._at
        )
        if services.master_keys.path is None:
            return None
        services.master_keys.drop(key_id)
        return str(services.master_keys.path)

    async def _successor(self, tell: Callable[[str], None]) -> str:
        """Find the key that shall take over: the one of a rotation that has begun, another, or a new one."""
        standing = await self.master_keys()
        if standing.elsewhere():
            return standing.in_use
        # Keys are added at the end, so what stands behind the one in use is newer.
        at = standing.held.index(standing.in_use)
        older, newer = standing.held[:at], standing.held[at + 1 :]
        if len(newer) > 1:
            raise OperatorError(f"which one? --to {' or --to '.join(newer)}")
        if newer:
            return newer[0]
        if older:
            raise OperatorError(
                f"everything is under {standing.in_use} already; `keyturn master-key retire {older[0]}` takes"
                " the old one away, and then there can be another"
            )
        fresh = self._services.master_keys.add()
        tell(f"made: {fresh}")
        return fresh

    async def _until(self, patience: timedelta, ready: Callable[[Node], bool], what: str) -> None:
        """Look again and again until no server is behind.

        Raises:
            OperatorError: One still is.
        """
        clock, nodes = self._services.clock, self._services.store.upkeep
        until = clock.monotonic() + patience.total_seconds()
        while True:
            running = await master_key.running_servers(self._actor, nodes, now=self._now)
            if not (behind := [node.id for node in running if not ready(node)]):
                return
            if clock.monotonic() >= until:
                raise OperatorError(f"these servers do not {what}: {', '.join(behind)}")
            await asyncio.sleep(LOOK_SECONDS)

    async def _seal_again(self, patience: timedelta, tell: Callable[[str], None]) -> MasterKeyStanding:
        """Run the job until nothing is left.

        Raises:
            OperatorError: Another process has the job for too long, or a value does not open.
        """
        while (standing := await self.master_keys()).elsewhere():
            run = await self._run_job(patience, tell)
            if run.failures:
                raise OperatorError(f"{run.outcome}; say it again")
            tell(run.outcome)
            if not run.outcome.startswith("sealed ") or run.outcome.startswith("sealed 0 "):
                raise OperatorError(
                    f"values that do not open: {standing.elsewhere()}; the log above names them"
                )
        return standing

    async def _run_job(self, patience: timedelta, tell: Callable[[str], None]) -> JobRun:
        """Run the job, waiting for a server that does it, or for the lease of a run that was killed."""
        clock, waited = self._services.clock, False
        until = clock.monotonic() + patience.total_seconds()
        while True:
            try:
                return await self._upkeep.run_now(_JOB)
            except OperatorError:
                if clock.monotonic() >= until:
                    raise
            if not waited:
                tell(f"another process does it, or was killed: at most {LEASE.seconds} s more")
                waited = True
            await asyncio.sleep(LOOK_SECONDS)
