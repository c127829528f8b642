"""What ``keyturn doctor`` makes of the facts: each check is a pure function, and says what to do.

``doctor_facts`` finds them out. No fact holds a secret, so no finding can tell one.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from keyturn.core.clock_watch import TOLERANCE
from keyturn.core.counting import counted
from keyturn.core.forms import NEWEST, Form
from keyturn.core.upkeep_ports import JobRun

MIB = 1024 * 1024
LEAST_FREE_BYTES = 256 * MIB
LITTLE_FREE_BYTES = 2048 * MIB
LONG_LOG_BYTES = 256 * MIB
"""A write-ahead log is copied home at 16 MiB; one that grows beyond this has a reader that never ends."""
CONNECTIONS_A_PROCESS = 10
EXPIRES_NOW = timedelta(days=3)
EXPIRES_SOON = timedelta(days=14)
LATE = timedelta(hours=1)
KEY_SLACK = timedelta(days=7)
"""A ring turns when it is used next, so a key may be a little older than settings say."""
LOG_IS_SAFE = (3, 51, 3)
"""From here on SQLite's log may begin anew beside a copy (sqlite.org/wal.html, "The WAL-Reset Bug")."""
LOG_IS_SAFE_TOO = ((3, 44, 6), (3, 50, 7))
"""Mended releases of older lines."""


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(msgspec.Struct, frozen=True):
    """What a check found, and what to do about it."""

    check: str
    verdict: Verdict
    found: str
    to_do: str = ""


def ok(check: str, found: str) -> Finding:
    """Find something in order."""
    return Finding(check, Verdict.OK, found)


def warn(check: str, found: str, to_do: str) -> Finding:
    """Find something that works and should be looked at."""
    return Finding(check, Verdict.WARN, found, to_do)


def fail(check: str, found: str, to_do: str) -> Finding:
    """Find something that does not work, or will not keep what we promise."""
    return Finding(check, Verdict.FAIL, found, to_do)


# --- configuration and clock ---


def check_configuration(problems: Sequence[str]) -> Iterator[Finding]:
    """Tell each problem that a server would refuse to start with."""
    for problem in problems:
        yield fail("configuration", problem, "Mend the setting; a server does not start with it.")
    if not problems:
        yield ok("configuration", "a server would start with it")


def check_clock(now: datetime, newest_at: datetime | None) -> Finding:
    """Compare this clock with the newest time that the store has seen (RE-07)."""
    if newest_at is None:
        return ok("clock", "the store has seen no time yet")
    behind = newest_at - now
    if behind > TOLERANCE:
        return fail(
            "clock",
            f"{_round(behind)} behind the newest time in the store: nothing is issued",
            "Mend the clock; if it was ahead before and is right now: keyturn clock accept.",
        )
    return ok("clock", "not behind the newest time in the store")


def check_ntp(synchronised: bool | None) -> Finding:
    """Tell whether the kernel's clock follows a time server; None where it does not say."""
    if synchronised is None:
        return warn(
            "clock.ntp", "the kernel does not say whether it is synchronised", "See chronyc tracking."
        )
    if not synchronised:
        return warn(
            "clock.ntp", "not synchronised", "Run chrony or systemd-timesyncd; nodes may be 5 s apart."
        )
    return ok("clock.ntp", "synchronised")


# --- files ---


class FileFact(msgspec.Struct, frozen=True):
    """A file or folder that should be private.

    Args:
        mode: Its permission bits; None where it is not there.
        ours: Whether it belongs to whoever runs the command.
        shared: Bits that others than the owner may have.
    """

    name: str
    path: str
    mode: int | None
    ours: bool = True
    shared: int = 0


def check_file(fact: FileFact) -> Iterator[Finding]:
    """Tell whether others may read a file, or it is somebody else's."""
    check = f"files.{fact.name}"
    if fact.mode is None:
        return
    if fact.mode & 0o077 & ~fact.shared:
        bits = f"{fact.mode & (0o700 | fact.shared):o}"
        yield fail(check, f"{fact.path} may be read by others ({fact.mode:o})", f"chmod {bits} {fact.path}")
    elif not fact.ours:
        yield warn(
            check,
            f"{fact.path} belongs to another user",
            "Run this as the service's user; if that is what you did: chown the folder to it.",
        )
    else:
        yield ok(check, f"{fact.path} is private")


# --- the store ---


class StoreFact(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the store can be reached, and what its tables are.

    Args:
        problem: Why it cannot; None where it can.
        version: The revision of its tables.
        head: The revision that this program knows.
    """

    problem: str | None = None
    version: str | None = None
    head: str = ""


def check_store(fact: StoreFact) -> Finding:
    """Tell whether the store can be reached."""
    if fact.problem is not None:
        return fail(
            "store",
            fact.problem,
            "See database_url and data, the server or the disk, and who owns the files.",
        )
    return ok("store", "can be read")


def check_tables(fact: StoreFact) -> Finding:
    """Compare the tables with what this program knows (RE-04)."""
    if fact.version is None:
        return fail(
            "store.tables", "there are none of ours", "Is this the right database? If so: keyturn init."
        )
    if fact.version < fact.head:
        return warn(
            "store.tables",
            f"at revision {fact.version}, this program has {fact.head}",
            "keyturn migrate apply; a server does it at its start unless migrate_at_start is off.",
        )
    return ok("store.tables", f"at revision {fact.version}")


def check_form(written: Form) -> Finding:
    """Tell whether the store is still written for servers of an earlier release (RE-04)."""
    if written is NEWEST:
        return ok("store.upgraded", "no server of an earlier release is left")
    found = "refresh tokens are made so that the release before can read them, too"
    return warn("store.upgraded", found, "When no server of an earlier release is left: keyturn upgraded.")


def check_disk(free_bytes: int) -> Finding:
    """Tell whether the disk has room."""
    found = f"{free_bytes // MIB} MiB free"
    if free_bytes < LEAST_FREE_BYTES:
        return fail("store.disk", found, "Make room: a full disk stops issuing.")
    if free_bytes < LITTLE_FREE_BYTES:
        return warn("store.disk", found, "Make room, or set audit.retention_days.")
    return ok("store.disk", found)


def check_log_size(log_bytes: int) -> Finding:
    """Tell whether SQLite's log grows: then somebody reads and never ends."""
    found = f"the write-ahead log has {log_bytes // MIB} MiB"
    if log_bytes > LONG_LOG_BYTES:
        return warn(
            "store.log", found, "End the program that reads the database: a backup that hangs, a shell."
        )
    return ok("store.log", found)


def check_file_durability(journal_mode: str) -> Finding:
    """Tell whether SQLite keeps what was committed (RE-01); our writer asks for synchronous=FULL itself."""
    if journal_mode != "wal":
        return fail(
            "store.durability",
            f"journal_mode is {journal_mode}",
            "PRAGMA journal_mode=WAL, with no server running.",
        )
    return ok("store.durability", "journal_mode is wal, commits are synchronous=FULL")


def check_library(version: tuple[int, int, int]) -> Finding:
    """Tell whether SQLite may lose a file whose log somebody copies home beside a commit (RE-01).

    Our own processes take turns at both, so nothing is wrong yet. A distribution may have mended an older
    version and kept its number.
    """
    name = f"SQLite {'.'.join(map(str, version))}"
    line = next((each for each in LOG_IS_SAFE_TOO if each[:2] == version[:2]), LOG_IS_SAFE)
    if version < line:
        return warn(
            "store.library",
            f"{name}: before 3.51.3 another program that writes may destroy the file; our own take turns",
            "Update SQLite (libsqlite3) when there is a newer one; until then open the file only to read.",
        )
    return ok("store.library", name)


def check_server_durability(
    *, fsync: bool, full_page_writes: bool, synchronous_commit: str, in_recovery: bool
) -> Iterator[Finding]:
    """Tell whether PostgreSQL keeps what was committed (RE-01)."""
    check = "store.durability"
    off = [name for name, on in (("fsync", fsync), ("full_page_writes", full_page_writes)) if not on]
    if synchronous_commit == "off":
        off.append("synchronous_commit")
    if off:
        yield fail(check, f"{' and '.join(off)} off: a crash may lose tokens' audit rows", "Switch them on.")
    elif in_recovery:
        yield fail(check, "this server is a standby", "Name the primary in database_url, or all hosts.")
    else:
        yield ok(check, f"fsync on, synchronous_commit {synchronous_commit}")


def check_standby(*, names: str, commit: str, synchronous: int, other: int, unseen: int) -> Finding:
    """Tell whether a commit is on a second machine before it is answered (RE-01 after a failover)."""
    check = "store.standby"
    if unseen and not synchronous:
        return warn(check, "our role may not see them", "GRANT pg_monitor to the role, and ask again.")
    waits = bool(names) and commit in ("on", "remote_write", "remote_apply")
    if waits and synchronous:
        return ok(check, f"{synchronous} synchronous")
    if waits:
        return fail(
            check,
            "none is connected, and commits wait for one",
            "Bring it back, or change synchronous_standby_names.",
        )
    kept = f"{other} asynchronous" if other else "none"
    to_do = "Set synchronous_standby_names; a failover may lose the last commits otherwise."
    return warn(check, f"{kept}: commits wait for no second machine", to_do)


def check_connections(limit: int, used: int, workers: int) -> Finding:
    """Compare what our processes may take with what the server gives."""
    needed = workers * CONNECTIONS_A_PROCESS
    found = f"{used} of {limit} in use; this node takes up to {needed}"
    if needed > limit:
        return fail("store.connections", found, "Raise max_connections, or put pgbouncer between.")
    if used > limit * 0.8:
        return warn("store.connections", found, "Raise max_connections, or put pgbouncer between.")
    return ok("store.connections", found)


# --- keys ---


class KeyFact(msgspec.Struct, frozen=True, kw_only=True):
    """One ring.

    Args:
        ring: Whose, and the algorithm.
        age: For how long its current key has signed; None where it has none.
        has_next: Whether the key that takes over is published.
        problem: Why its key cannot be used; None where it signed.
    """

    ring: str
    age: timedelta | None
    has_next: bool
    problem: str | None = None


def check_ring(fact: KeyFact, rotate_after: timedelta | None) -> Finding:
    """Tell whether a ring can sign, and go on."""
    check = f"keys.{fact.ring}"
    if fact.problem is not None:
        return fail(
            check,
            f"its key cannot be used: {fact.problem}",
            "Give the right master key, or bring the PKCS#11 token back.",
        )
    if fact.age is None:
        return fail(check, "no key signs now", "keyturn keys list; then keyturn keys rotate.")
    if not fact.has_next:
        return warn(check, "no next key is published", "keyturn keys rotate makes one.")
    if rotate_after is not None and fact.age > rotate_after + KEY_SLACK:
        return warn(
            check, f"its key has signed for {_round(fact.age)}", "keyturn keys rotate; does upkeep run?"
        )
    return ok(check, f"its key has signed for {_round(fact.age)}, the next one is published")


def check_master_key(in_use: str, held: Sequence[str], under: dict[str, int]) -> Iterator[Finding]:
    """Tell whether the keys that were given open all that is sealed.

    Args:
        in_use: The id of the key that everything is sealed under from now on.
        held: The ids of those that were given.
        under: How many values lie under each.
    """
    strange = {key_id: count for key_id, count in under.items() if count and key_id not in held}
    for key_id, count in strange.items():
        to_do = "Bring that key back from its copy, and give it beside the others (docs/operations/keys.md)."
        yield fail("master-key", f"under {key_id}, which was not given: {counted(count, 'value')}", to_do)
    elsewhere = sum(count for key_id, count in under.items() if key_id != in_use and key_id in held)
    if elsewhere:
        to_do = "keyturn master-key rotate goes on with it."
        yield warn("master-key", f"not yet sealed under {in_use}: {counted(elsewhere, 'value')}", to_do)
    if not strange and not elsewhere:
        yield ok("master-key", f"{in_use} opens all: {counted(sum(under.values()), 'value')}")


# --- certificates ---


class CertificateFact(msgspec.Struct, frozen=True, kw_only=True):
    """The certificate of the public listener.

    Args:
        problem: Why the pair cannot be used; None where it can.
        begins_at: When it begins to be good, and ``expires_at`` when it ends.
        names: Host names and addresses that it is for.
        chained: Whether each certificate of the file was issued by the next.
    """

    problem: str | None = None
    begins_at: datetime | None = None
    expires_at: datetime | None = None
    names: tuple[str, ...] = ()
    chained: bool = True


def check_certificate(fact: CertificateFact, host: str | None, now: datetime) -> Iterator[Finding]:
    """Tell whether the certificate can be used, for how long, and for the name that callers use."""
    if fact.problem is not None or fact.expires_at is None:
        yield fail(
            "certificate",
            fact.problem or "cannot be read",
            "Renew the pair, each file by renaming a finished one.",
        )
        return
    left = fact.expires_at - now
    if fact.begins_at is not None and fact.begins_at > now:
        found = f"begins to be good in {_round(fact.begins_at - now)}"
        yield fail("certificate.beginning", found, "Use the one before until then; or mend the clock.")
    if left < EXPIRES_NOW:
        found = "has expired" if left < timedelta(0) else f"expires in {_round(left)}"
        yield fail("certificate.expiry", found, "Renew it in place.")
    elif left < EXPIRES_SOON:
        yield warn("certificate.expiry", f"expires in {_round(left)}", "See what renews it.")
    else:
        yield ok("certificate.expiry", f"expires in {_round(left)}")
    if not fact.chained:
        yield warn(
            "certificate.chain",
            "a certificate was not issued by the next",
            "The server's own first, then who issued it.",
        )
    if host is not None and not any(_is_for(name, host) for name in fact.names):
        yield fail("certificate.name", f"is not for {host}", "Callers check the name in public_url.")
    else:
        yield ok("certificate.name", f"is for {host or 'nobody asked whom'}")


def _is_for(name: str, host: str) -> bool:
    """Compare as callers do: a star stands for one label (RFC 9525 section 6.3)."""
    name, host = name.lower(), host.lower()
    return name == host or (name.startswith("*.") and name[2:] == host.partition(".")[2])


# --- upkeep and the way in ---


def check_job(name: str, last: JobRun | None, due_at: datetime | None, now: datetime) -> Finding:
    """Tell whether a job of upkeep is done in time: the checkpoints of the trail are one."""
    check = f"upkeep.{name}"
    if last is None:
        return ok(check, "did not run yet")
    if last.failures:
        return fail(
            check,
            f"failed {counted(last.failures, 'time')}: {last.outcome}",
            f"The log says why; keyturn upkeep run {name}.",
        )
    if due_at is not None and now - due_at > LATE:
        return warn(check, f"is {_round(now - due_at)} late", "Does a server run? Upkeep is done by servers.")
    return ok(check, "went well")


def check_way_in(status: int | None, *, ours: bool, problem: str = "") -> Finding:
    """Tell whether callers reach us by the public URL.

    Args:
        status: Of the answer; None where none came.
        ours: Whether the answer bears a request id, as each of ours does.
    """
    if status is None:
        return fail(
            "url", problem or "no answer", "See DNS, the proxy, the firewall, and whether the server runs."
        )
    if not ours:
        return fail(
            "url",
            f"something else answered ({status})",
            "public_url leads elsewhere, or the proxy drops x-request-id.",
        )
    return ok("url", "answers")


def _round(span: timedelta) -> str:
    """Say a time in its largest unit."""
    seconds = int(abs(span).total_seconds())
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"
