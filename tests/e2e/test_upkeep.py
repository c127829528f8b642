"""Upkeep inside a running server: what it signs when it stops, what it shows while it runs."""

import pytest

from e2e.servers import ask, serving, told


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_server_that_stops_signs_its_trail(tmp_path):
    """RE-03, AD-05: after SIGTERM every row the server wrote is covered by a signed checkpoint."""
    home, data = tmp_path / "home", tmp_path / "data"
    at = ("--data", str(data))
    with serving(data, home, warm=True) as node:
        shown = ask(f"{node.management}/metrics").body.decode()
        assert 'keyturn_upkeep_last_run_timestamp_seconds{task="checkpoint"} 0.0' in shown
        assert "keyturn_signing_key_oldest_seconds" in shown
    jobs = {row["job"]: row for row in told(home, "upkeep", "status", *at)}
    assert jobs["checkpoint"]["outcome"] == "checkpoint 1"
    assert jobs["clean"]["last_run_at"] is None  # nothing is cleaned at a start
    verdict = told(home, "audit", "verify", *at)
    assert verdict["newest_checkpoint"].startswith("1:")
    assert verdict["rows_not_signed_yet"] <= 1  # the birth of the audit key
