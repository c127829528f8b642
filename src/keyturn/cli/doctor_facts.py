"""Finds out the facts that ``diagnosis`` judges: asks files, the kernel, the store, the keys and the network.

What cannot be asked is a finding too, and keeps nothing else from being asked.
"""

import ctypes
import dataclasses
import os
import ssl
import stat
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from cryptography import x509

from keyturn.app import LocalServices, cause_of, condition, open_local, upkeep_of
from keyturn.cli import diagnosis as judge
from keyturn.cli.diagnosis import CertificateFact, FileFact, Finding, KeyFact, StoreFact
from keyturn.core.clock import SystemClock
from keyturn.core.counting import counted
from keyturn.core.errors import ConfigError, Fault, Unavailable
from keyturn.core.vocabulary import Algorithm
from keyturn.directory.ring_state import state_of
from keyturn.settings import Settings

_UNSYNCHRONISED = 5
"""What adjtimex(2) returns (TIME_ERROR) where nothing keeps the clock right."""
_TIMEX_BYTES = 512
"""More than ``struct timex`` has anywhere; all zero, so that nothing is set."""
_PROBE = b"is anybody there?"
ANSWER_SECONDS = 5.0
MOST_RINGS = 500


async def examine(settings: Settings, *, ask_url: bool) -> AsyncIterator[Finding]:
    """Look at a deployment whose settings could be read."""
    for file in _files(settings):
        for finding in judge.check_file(file):
            yield finding
    yield judge.check_ntp(synchronised())
    now = SystemClock().now()
    if settings.tls.pair() is not None:
        for finding in judge.check_certificate(certificate_of(settings), _host(settings), now):
            yield finding
    found, fact = _store_fact(settings)
    for finding in _store(found, fact, settings):
        yield finding
    if found is not None and found.version is not None and found.version >= found.head:
        async for finding in _deployment(settings):
            yield finding
    else:
        yield judge.warn(
            "keys", "not looked at: the store cannot be opened as it is", "Mend the store first."
        )
    if ask_url:
        yield ask(settings.public_url)


# --- files, kernel, network ---


def _files(settings: Settings) -> Iterator[FileFact]:
    data = settings.data
    paths = [
        ("data", data, 0),
        ("database", data / "keyturn.db", 0),
        ("master-key", settings.master_key_place(), 0),
    ]
    paths.append(("tls-key", settings.tls.key, 0o070))  # a group may: Debian's ssl-cert
    for name, path, shared in paths:
        if path is not None:
            yield file_fact(name, path, shared)


def file_fact(name: str, path: Path, shared: int = 0) -> FileFact:
    """Look at a file's rights."""
    try:
        found = path.stat()
    except OSError:
        return FileFact(name, str(path), None)
    return FileFact(name, str(path), stat.S_IMODE(found.st_mode), found.st_uid in (os.geteuid(), 0), shared)


def synchronised() -> bool | None:
    """Ask the kernel whether something keeps its clock right; None where it does not say."""
    try:
        told = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (AttributeError, OSError):  # no Linux, or not allowed
        return None
    return None if told < 0 else told != _UNSYNCHRONISED


def _host(settings: Settings) -> str | None:
    return None if settings.public_url is None else urlsplit(settings.public_url).hostname


def certificate_of(settings: Settings) -> CertificateFact:
    """Read the pair as a server would."""
    from keyturn.web.tls import Certificates

    pair = settings.tls.pair()
    if pair is None:
        return CertificateFact(problem="there is none")
    try:
        certificates = Certificates(*pair, SystemClock())
        chain = x509.load_pem_x509_certificates(pair[0].read_bytes())
    except ConfigError as error:
        return CertificateFact(problem="; ".join(error.problems))
    except (OSError, ValueError) as error:
        return CertificateFact(problem=str(error))
    return CertificateFact(
        begins_at=certificates.begins_at,
        expires_at=certificates.expires_at,
        names=tuple(_names(chain[0])),
        chained=all(map(_issued, chain, chain[1:])),
    )


def _names(certificate: x509.Certificate) -> Iterator[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    yield from names.get_values_for_type(x509.DNSName)
    yield from map(str, names.get_values_for_type(x509.IPAddress))


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception:  # noqa: BLE001 - whatever is wrong, it was not
        return False
    return True


def ask(public_url: str | None) -> Finding:
    """Ask for nothing in particular by the public URL."""
    if public_url is None:
        return judge.check_way_in(None, ours=False, problem="public_url is not set")
    request = Request(f"{public_url}/", headers={"User-Agent": "keyturn-doctor"})  # noqa: S310  # a setting of ours
    try:
        with urlopen(request, timeout=ANSWER_SECONDS, context=_context(public_url)) as answer:  # noqa: S310
            return judge.check_way_in(answer.status, ours="x-request-id" in answer.headers)
    except HTTPError as error:
        return judge.check_way_in(error.code, ours="x-request-id" in error.headers)
    except (URLError, OSError) as error:
        return judge.check_way_in(None, ours=False, problem=str(getattr(error, "reason", error)))


def _context(url: str) -> ssl.SSLContext | None:
    return ssl.create_default_context() if url.startswith("https:") else None


# --- the store ---


def _store_fact(settings: Settings) -> tuple[condition.Condition | None, StoreFact]:
    try:
        found = condition.look(settings.store_url())
    except ConfigError as error:
        return None, StoreFact(problem="; ".join(error.problems))
    except Unavailable as error:
        return None, StoreFact(problem=cause_of(error) or "cannot be reached")
    return found, StoreFact(version=found.version, head=found.head)


def _store(found: condition.Condition | None, fact: StoreFact, settings: Settings) -> Iterator[Finding]:
    yield judge.check_store(fact)
    free = condition.free_bytes(settings.store_url())
    if free is not None:  # also without a store: SQLite says of a full disk only that it is in trouble
        yield judge.check_disk(free)
    if found is None:
        return
    yield judge.check_tables(fact)
    if (file := found.file) is not None:
        yield judge.check_file_durability(file.journal_mode)
        yield judge.check_library(file.library)
        yield judge.check_log_size(file.log_bytes)
    if (server := found.postgres) is not None:
        yield from judge.check_server_durability(
            fsync=server.fsync,
            full_page_writes=server.full_page_writes,
            synchronous_commit=server.synchronous_commit,
            in_recovery=server.in_recovery,
        )
        yield judge.check_standby(
            names=server.standby_names,
            commit=server.synchronous_commit,
            synchronous=server.synchronous_standbys,
            other=server.other_standbys,
            unseen=server.unseen_standbys,
        )
        yield judge.check_connections(server.connections, server.used, settings.workers)


# --- what needs the master key ---


async def _deployment(settings: Settings) -> AsyncIterator[Finding]:
    try:
        async with open_local(dataclasses.replace(settings, migrate_at_start=False)) as local:
            mark = await local.store.upkeep.clock_mark()
            yield judge.check_clock(local.clock.now(), None if mark is None else mark.newest_at)
            yield judge.check_form(local.forms.written)
            under: dict[str, int] = {}
            for of_table in (await local.store.upkeep.count_sealed()).values():
                for key_id, count in of_table.items():
                    under[key_id] = under.get(key_id, 0) + count
            for finding in judge.check_master_key(local.sealer.current, local.sealer.held, under):
                yield finding
            for finding in await _rings(local, settings):
                yield finding
            for state in await upkeep_of(local, settings).states():
                yield judge.check_job(state.name, state.last, state.due_at, local.clock.now())
    except ConfigError as error:
        yield judge.fail("keys", "; ".join(error.problems), "Give the master key as the service has it.")
    except (Unavailable, Fault) as error:
        why = (cause_of(error) or error.reason.value) if isinstance(error, Unavailable) else str(error)
        yield judge.fail("keys", why, "See the table in docs/operations/README.md.")


async def _rings(local: LocalServices, settings: Settings) -> list[Finding]:
    """Look at every ring; those in order are told as one."""
    rotate_after = timedelta(days=settings.keys.rotate_days) if settings.keys.rotate_days else None
    living = [each for each in await local.deployment.organisations() if each.ended_at is None]
    issuers = {each.id: each.slug for each in living[:MOST_RINGS]} | {
        each: each for each in local.ring_plan().shared
    }
    found, good = [], 0
    for issuer_id, name in issuers.items():
        for fact in await _ring_facts(local, str(issuer_id), name):
            finding = judge.check_ring(fact, rotate_after)
            good += finding.verdict is judge.Verdict.OK
            found += [] if finding.verdict is judge.Verdict.OK else [finding]
    more = f"; of {len(living)} organisations the first {MOST_RINGS}" if len(living) > MOST_RINGS else ""
    return [*found, judge.ok("keys", f"can sign and go on: {counted(good, 'ring')}{more}")]


async def _ring_facts(local: LocalServices, issuer_id: str, name: str) -> list[KeyFact]:
    now = local.clock.now()
    keys = await local.deployment.signing_keys(issuer_id)
    facts = []
    for algorithm in dict.fromkeys(key.algorithm for key in keys):
        ring = [key for key in keys if key.algorithm is algorithm]
        states = {state_of(key, ring, now): key for key in ring}
        current = states.get("current")
        facts.append(
            KeyFact(
                ring=f"{name}/{algorithm.value}",
                age=None if current is None else _age(current.active_at, now),
                has_next="next" in states or "scheduled" in states,
                problem=None if current is None else await _signs(local, issuer_id, algorithm, now),
            )
        )
    return facts


def _age(since: datetime | None, now: datetime) -> timedelta:
    return timedelta(0) if since is None else now - since


async def _signs(local: LocalServices, issuer_id: str, algorithm: Algorithm, now: datetime) -> str | None:
    """Try a key; gives why it cannot be used."""
    try:
        signer = await local.rings.signer(issuer_id, algorithm, now)
        if signer.elsewhere is None:
            signer.sign(_PROBE)
        else:
            await signer.elsewhere(partial(signer.sign, _PROBE))
    except Unavailable as error:
        return error.reason.value.replace("_", " ")
    except Fault as error:
        return str(error)
    return None
