"""What the doctor makes of facts: each check finds what is wrong, and says what to do."""

from datetime import UTC, datetime, timedelta

import pytest

from keyturn.cli import diagnosis as judge
from keyturn.cli.diagnosis import MIB, CertificateFact, FileFact, KeyFact, StoreFact, Verdict
from keyturn.core.upkeep_ports import JobRun

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
OK, WARN, FAIL = Verdict.OK, Verdict.WARN, Verdict.FAIL
DAY = timedelta(days=1)


def standby(**facts):
    """A server with one synchronous standby, but for what is given."""
    return judge.check_standby(
        **{"names": "*", "commit": "on", "synchronous": 1, "other": 0, "unseen": 0} | facts
    )


def durability(**facts):
    """A server that keeps what it committed, but for what is given."""
    kept = {"fsync": True, "full_page_writes": True, "synchronous_commit": "on", "in_recovery": False}
    (found,) = judge.check_server_durability(**kept | facts)
    return found


def ring(**facts):
    """A ring in order, but for what is given."""
    return judge.check_ring(KeyFact(**{"ring": "acme/ES256", "age": DAY, "has_next": True} | facts), 90 * DAY)


def run(failures=0):
    """The last run of a job."""
    return JobRun(ran_at=NOW - DAY, failures=failures, outcome="failed: OSError" if failures else "nothing")


@pytest.mark.parametrize(
    ("finding", "verdict"),
    [
        (judge.check_clock(NOW, None), OK),
        (judge.check_clock(NOW, NOW + timedelta(seconds=5)), OK),
        (judge.check_clock(NOW, NOW + timedelta(seconds=6)), FAIL),
        (judge.check_ntp(True), OK),
        (judge.check_ntp(False), WARN),
        (judge.check_ntp(None), WARN),
        (judge.check_store(StoreFact(problem="locked")), FAIL),
        (judge.check_store(StoreFact(version="0009", head="0009")), OK),
        (judge.check_tables(StoreFact(version=None, head="0009")), FAIL),
        (judge.check_tables(StoreFact(version="0008", head="0009")), WARN),
        (judge.check_tables(StoreFact(version="0010", head="0009")), OK),
        (judge.check_disk(10 * MIB), FAIL),
        (judge.check_disk(1000 * MIB), WARN),
        (judge.check_disk(9000 * MIB), OK),
        (judge.check_log_size(16 * MIB), OK),
        (judge.check_log_size(300 * MIB), WARN),
        (judge.check_library((3, 51, 2)), WARN),
        (judge.check_library((3, 51, 3)), OK),
        (judge.check_library((3, 53, 0)), OK),
        (judge.check_library((3, 50, 6)), WARN),
        (judge.check_library((3, 50, 7)), OK),
        (judge.check_library((3, 44, 6)), OK),
        (judge.check_library((3, 45, 1)), WARN),
        (judge.check_library((3, 40, 1)), WARN),
        (judge.check_file_durability("wal"), OK),
        (judge.check_file_durability("delete"), FAIL),
        (durability(), OK),
        (durability(fsync=False), FAIL),
        (durability(full_page_writes=False), FAIL),
        (durability(synchronous_commit="off"), FAIL),
        (durability(in_recovery=True), FAIL),
        (standby(), OK),
        (standby(synchronous=0), FAIL),
        (standby(commit="local"), WARN),
        (standby(names="", synchronous=0, other=1), WARN),
        (standby(synchronous=0, unseen=1), WARN),
        (judge.check_connections(100, 20, 4), OK),
        (judge.check_connections(100, 90, 1), WARN),
        (judge.check_connections(100, 20, 11), FAIL),
        (ring(), OK),
        (ring(age=None), FAIL),
        (ring(has_next=False), WARN),
        (ring(age=98 * DAY), WARN),
        (ring(problem="key unavailable"), FAIL),
        (judge.check_job("keys", None, None, NOW), OK),
        (judge.check_job("keys", run(), NOW + DAY, NOW), OK),
        (judge.check_job("keys", run(), NOW - DAY, NOW), WARN),
        (judge.check_job("keys", run(3), NOW, NOW), FAIL),
        (judge.check_way_in(404, ours=True), OK),
        (judge.check_way_in(200, ours=False), FAIL),
        (judge.check_way_in(None, ours=False, problem="refused"), FAIL),
    ],
)
def test_verdicts(finding, verdict):
    """Each fact has its verdict, and whatever is not in order comes with something to do."""
    assert finding.verdict is verdict, finding
    assert bool(finding.to_do) is (verdict is not OK), finding


@pytest.mark.parametrize(
    ("fact", "verdicts"),
    [
        (FileFact("data", "/d", 0o700), [OK]),
        (FileFact("data", "/d", 0o750), [FAIL]),
        (FileFact("tls-key", "/k", 0o640, shared=0o070), [OK]),
        (FileFact("tls-key", "/k", 0o644, shared=0o070), [FAIL]),
        (FileFact("data", "/d", 0o700, ours=False), [WARN]),
        (FileFact("database", "/d", None), []),
    ],
)
def test_files(fact, verdicts):
    """A file that others may read fails, and the remedy takes their bits away and no others."""
    found = list(judge.check_file(fact))
    assert [each.verdict for each in found] == verdicts
    if fact.mode == 0o644:
        assert found[0].to_do == "chmod 640 /k"


def test_configuration():
    """Every problem that a server would not start with is a finding of its own."""
    assert [each.verdict for each in judge.check_configuration(())] == [OK]
    assert [each.found for each in judge.check_configuration(("one", "two"))] == ["one", "two"]


def test_master_keys():
    """Values under a key that was not given fail; those under another that was are still to be sealed."""

    def verdicts(held, under):
        return [each.verdict for each in judge.check_master_key("new", held, under)]

    assert verdicts(("new",), {"new": 3}) == [OK]
    assert verdicts(("new", "old"), {"new": 3, "old": 1}) == [WARN]
    assert verdicts(("new",), {"new": 3, "old": 1}) == [FAIL]


def test_one_is_counted_as_one():
    """A sentence about one thing counts one thing."""
    (lost,) = judge.check_master_key("new", ("new",), {"new": 3, "old": 1})
    (left,) = judge.check_master_key("new", ("new", "old"), {"new": 3, "old": 1})
    (good,) = judge.check_master_key("new", ("new",), {"new": 1})
    failed = judge.check_job("keys", JobRun(ran_at=NOW, failures=1, outcome="failed: Fault"), None, NOW)
    assert [each.found for each in (lost, left, good, failed)] == [
        "under old, which was not given: 1 value",
        "not yet sealed under new: 1 value",
        "new opens all: 1 value",
        "failed 1 time: failed: Fault",
    ]


@pytest.mark.parametrize(
    ("changes", "verdicts"),
    [
        ({}, [OK, OK]),
        ({"expires_at": NOW + 10 * DAY}, [WARN, OK]),
        ({"expires_at": NOW + 2 * DAY}, [FAIL, OK]),
        ({"expires_at": NOW - DAY}, [FAIL, OK]),
        ({"begins_at": NOW - DAY}, [OK, OK]),
        ({"begins_at": NOW + DAY}, [FAIL, OK, OK]),
        ({"chained": False}, [OK, WARN, OK]),
        ({"names": ("*.example",)}, [OK, OK]),
        ({"names": ("example",)}, [OK, FAIL]),
        ({"names": ("*.tokens.example",)}, [OK, FAIL]),
        ({"problem": "the key is not that of the certificate"}, [FAIL]),
    ],
)
def test_certificates(changes, verdicts):
    """A certificate that ends soon, is for another name or cannot be used is found out."""
    fact = CertificateFact(**{"expires_at": NOW + 60 * DAY, "names": ("tokens.example",)} | changes)
    found = judge.check_certificate(fact, "tokens.example", NOW)
    assert [each.verdict for each in found] == verdicts
