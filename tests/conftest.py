"""What every test session does: say at the end what was skipped and why, in one list.

With ``KEYTURN_TEST_NO_SKIP=1`` (``make test-all``) a skip fails the session. A test that is expected to
fail (xfail) or deselected by its marker is not a skip.

Hypothesis is never in a hurry, because the machine may be busy. Where ``CI`` is set it draws the same
examples in each run, so that a build fails for what was changed and nothing else; everywhere else it goes
on looking.
"""

import gc
import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# Hundreds of commands are started, and each would compile the whole program anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Seven thousand tests are a million objects, none of them garbage; Python would count them again and again.
gc.set_threshold(200_000)

settings.register_profile(
    "here", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", settings.get_profile("here"), derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")

# What tests share asserts as well; said here, before anything imports it.
pytest.register_assert_rewrite("admin.kit", "dialects.contract", "harness")

pytest_plugins = ["postgres", "softhsm"]

NO_SKIP = "KEYTURN_TEST_NO_SKIP"


class SkipList:
    """Collect skips from every worker, print them once, and fail the session when it was asked to."""

    def __init__(self, *, forbidden: bool) -> None:
        """Start empty; ``forbidden`` turns any skip into a failed session."""
        self.forbidden = forbidden
        self.skipped: dict[str, str] = {}

    def note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        """Remember a skip under its test's id; several workers may report the same collected file."""
        if not report.skipped or hasattr(report, "wasxfail"):
            return
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        self.skipped[report.nodeid] = reason.removeprefix("Skipped: ")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.note(report)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.forbidden and self.skipped and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def lines(self) -> Iterator[str]:
        """Yield the list, ordered by reason, then by test."""
        for nodeid, reason in sorted(self.skipped.items(), key=lambda item: (item[1], item[0])):
            yield f"{reason}: {nodeid}"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.skipped:
            return
        terminalreporter.section(f"{len(self.skipped)} skipped")
        for line in self.lines():
            terminalreporter.write_line(line)
        if self.forbidden:
            terminalreporter.write_line(f"{NO_SKIP} is set: a skip is a failure.", red=True)


def pytest_collection_finish() -> None:
    """Have Python's look for garbage pass over all that was imported and collected."""
    gc.collect()
    gc.freeze()


def pytest_configure(config: pytest.Config) -> None:
    """Register the list in the process that reports; xdist's workers only send to it."""
    if not hasattr(config, "workerinput"):
        forbidden = os.environ.get(NO_SKIP, "") not in {"", "0"}
        config.pluginmanager.register(SkipList(forbidden=forbidden), "keyturn-skip-list")
