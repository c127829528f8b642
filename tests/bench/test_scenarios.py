"""The bench's tables: what may be asked of them, and what becomes of what was measured."""

import json
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bench import install, sight
from bench.__main__ import QUICK, arguments, picked
from bench.charts import Bar, bars
from bench.figures import Round, Target
from bench.guard import BASELINE, judge
from bench.jobs import found, nested
from bench.measure import Found
from bench.page import chart, page
from bench.path import NAMES
from bench.peer import PEERS, Peer
from bench.report import Report
from bench.scenarios import SCENARIOS, Comparison, Line, Scenario, Tier

HERE = Path(__file__).resolve().parent


def measured(cpu_micros, answered=1000):
    return Round(answered=answered, refused=0, seconds=1.0, cpu_seconds=cpu_micros * answered / 1e6)


def scenario(*keys, comparisons=(), starts=""):
    lines = tuple(Line(key, Peer("bare", None)) for key in keys)
    return Scenario("test", "A test.", lines, tuple(comparisons), starts)


def report():
    """Give the report of a run in which one peer could not be had."""
    made = scenario(
        *("ours", "theirs", "absent"),
        comparisons=(
            Comparison(Target("ours : theirs", (("must", 3.0), ("moonshot", 5.0))), "ours", "theirs"),
            Comparison(Target("ours : absent", ()), "ours", "absent"),
            Comparison(Target("ours : raw", (("must", 0.5),)), "ours", limit="RS256"),
        ),
        starts="ours",
    )
    what = Found("test", skipped={"absent": "no toolchain"}, kept=["10 answers, 10 rows."])
    what.rounds = {"ours": [measured(100), measured(110)], "theirs": [measured(400), measured(400)]}
    what.starts = {"ours": {"megabytes": 70.0, "ready_seconds": 2.0}, "theirs": {}}
    return Report(machine={"commit": "abc1234", "RS256 signatures/s": 20_000.0}, found=[(made, what)])


@pytest.mark.parametrize("each", SCENARIOS, ids=lambda each: each.name)
def test_a_scenario_compares_only_what_it_measures(each):
    """Keys are unique in a scenario, and every comparison, share and start names one of them."""
    keys = [*(line.key for line in each.lines), *(each.inside(0, 0.0) if each.inside else ())]
    assert len(set(keys)) == len(keys)
    named = {key for it in each.comparisons for key in (it.ours, it.theirs) if key}
    assert named | ({each.starts} - {""}) <= set(keys)
    for number, line in enumerate(each.lines):
        assert not line.of or line.of in keys[:number]


def test_scenarios_are_picked_by_name_and_length():
    """A run is one that was named, or all that are no longer than what was asked for."""
    names = [each.name for each in SCENARIOS]
    assert [each.name for each in picked(arguments(["--only", "refresh", "token"]))] == ["token", "refresh"]
    assert [each.name for each in picked(arguments(["--all"]))] == names
    quick = arguments(["--quick"])
    assert {each.tier for each in picked(quick)} == {Tier.QUICK}
    assert (quick.rounds, arguments(["--quick", "--rounds", "7"]).rounds) == (QUICK["rounds"], 7)


@pytest.mark.parametrize("folder", sorted(PEERS.iterdir()), ids=lambda folder: folder.name)
def test_a_peer_is_pinned_and_named_by_a_scenario(folder):
    """Every peer says how it is installed, has what that needs, and is measured somewhere."""
    about = tomllib.loads((folder / "peer.toml").read_text())
    assert about["install"] in install.WAYS
    needed = {"npm": "package.json", "pip": "requirements.txt", "go": "go.sum"}.get(about["install"])
    assert needed is None or (folder / needed).exists()
    servers = [line.server for each in SCENARIOS for line in each.lines]
    roles = {server.role for server in servers if isinstance(server, Peer) and server.name == folder.name}
    assert roles == set(about["start"])


def test_a_go_peer_is_built_with_its_tags(tmp_path, monkeypatch):
    """Build tags reach the compiler, and what was built with others is built again."""
    built = []
    monkeypatch.setattr(install, "_run", lambda command, _: built.append(command) or "")
    for tags in (["one", "two"], ["one", "two"], ["one"]):
        install.from_go(PEERS / "hydra", tmp_path, {"tags": tags})
    assert [each[4] for each in built] == ["-tags=one,two", "-tags=one"]


def test_report_judges_only_what_was_measured():
    """A peer that could not be had is named with the reason; what was measured is judged all the same."""
    verdicts = [verdict for _, verdict in report().verdicts()]
    figures = {verdict.target.says: verdict.figure.middle for verdict in verdicts}
    assert figures["ours : theirs"] == pytest.approx((4 + 400 / 110) / 2)
    assert figures["ours : raw"] == pytest.approx((50 / 100 + 50 / 110) / 2)
    assert "ours : absent" not in figures
    assert report().skipped() == ["absent (test): no toolchain"]
    assert "Skipped: absent (test): no toolchain" in report().text()


def test_latencies_are_compared_where_that_is_asked():
    """A comparison by p99 sets ours against theirs, round by round: what is slower is above 1."""
    slow, quick = (Round(2, 0, 1.0, 1.0, (seconds, seconds)) for seconds in (0.03, 0.01))
    target = Target("p99 : p99", (("must", 2.0),), least=False)
    made = scenario("slow", "quick", comparisons=(Comparison(target, "slow", "quick", p99=True),))
    what = Found("test")
    what.rounds = {"slow": [slow, quick], "quick": [quick, quick]}
    [(_, verdict)] = Report(found=[(made, what)]).verdicts()
    assert (verdict.figure.low, verdict.figure.high) == pytest.approx((1.0, 3.0))
    assert verdict.figure.middle == pytest.approx(2.0)


def test_a_sight_is_measured_in_process():
    """First sights are proved and repeats remembered, or the one would cost what the other does."""
    found = sight.rounds(1, 0.02)
    costs = {key: rounds[0].cpu_micros for key, rounds in found.items()}
    assert costs[sight.REPEAT] < costs[sight.BARE] / 4 < costs[sight.FIRST]


def test_report_for_programs_has_every_round():
    """What is written for programs is enough to draw the page again."""
    data = report().data()
    (only,) = data["scenarios"]
    assert [each["cpu_seconds"] for each in only["rounds"]["ours"]] == pytest.approx([0.1, 0.11])
    assert data["targets"][0]["bars"]["must"] == {"value": 3.0, "met": True}
    assert data["targets"][0]["bars"]["moonshot"]["met"] is False


def test_page_shows_targets_tables_and_what_was_left_out():
    """The page names the commit, tells met from missed, and passes over nothing in silence."""
    text = page(report().data())
    assert "| commit | abc1234 |" in text
    assert "| ours : theirs | 3.82 | 3.64 to 4.00 | 3: met | 5: **missed** |" in text
    assert "![test](bench-charts/test.svg)" in text
    assert "- absent (test): no toolchain" in text


def test_chart_is_well_formed_and_in_proportion():
    """Bars are as long as their values, and a label cannot break out of the picture."""
    drawn = ET.fromstring(bars("a & b", "us", [Bar("<x>", 10, 9, 12, True), Bar("y", 5, 5, 5, False)]))  # noqa: S314
    first, second = (float(it.get("width")) for it in drawn.iter("{http://www.w3.org/2000/svg}rect"))
    assert first == pytest.approx(2 * second, abs=0.2)
    assert "<x>" in {it.text for it in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert "us</text>" in chart(report().data()["scenarios"][0])


def test_a_round_that_had_nothing_left_is_in_no_chart():
    """A round without an answer is passed over, and a line of nothing else has no bar."""
    drawn = report().data()["scenarios"][0]
    drawn["rounds"]["ours"].append({"answered": 0, "refused": 0, "seconds": 0.001, "cpu_seconds": 0.0})
    assert chart(drawn) == chart(report().data()["scenarios"][0])
    drawn["rounds"]["ours"] = drawn["rounds"]["ours"][-1:]
    assert ">ours</text>" not in chart(drawn)


def test_guard_tells_dearer_from_noise():
    """A count a little off passes, one well above fails, and one that nobody kept fails too."""
    rows, good = judge({"a": 1010, "b": 900}, {"a": 1000, "b": 1000})
    assert good
    assert [each[-1] for each in rows[1:]] == ["", "cheaper"]
    assert judge({"a": 1030}, {"a": 1000})[1] is False
    assert judge({"new": 1}, {})[1] is False


def test_guard_has_a_figure_for_every_case():
    """The baseline was counted with the cases that are counted now."""
    assert set(json.loads(BASELINE.read_text())["instructions"]) == set(NAMES)


def test_a_member_is_found_where_it_was_nested():
    """A path with points reads an answer as it would be written."""
    assert nested("a.b", "x") == {"a": {"b": "x"}}
    assert found(b'{"a": {"b": "x"}}', "a.b") == "x"
