"""The page, the board and the alerts name the metrics that there are."""

import json
import re

import pytest
import yaml

from docs.pages import ROOT
from docs.render_metrics import PAGE, page
from keyturn.core.vocabulary import Reason
from keyturn.web.measures import MEASURES

BOARD = ROOT / "deploy" / "grafana" / "keyturn.json"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
OF_PROMETHEUS = {"instance", "job", "le"}
"""Labels that every metric, or every histogram, has there."""
WORDS = {
    "and",
    "by",
    "on",
    "or",
    "sum",
    "max",
    "min",
    "count",
    "rate",
    "increase",
    "time",
    "scalar",
    "vector",
}
WORDS |= {"histogram_quantile", "__rate_interval"}


def shown():
    """Every name that a query may use, with its labels."""
    names = {}
    for name, measure in MEASURES.items():
        suffixes = ("_bucket", "_sum", "_count") if measure.kind == "histogram" else ("",)
        for suffix in suffixes:
            names[measure.shown_as(name) + suffix] = {*measure.labels, *OF_PROMETHEUS}
    return names


def board_queries():
    """Every query of the board, with the labels that its legend shows."""
    return [
        (target["expr"], set(re.findall(r"{{(\w+)}}", target["legendFormat"])))
        for panel in json.loads(BOARD.read_text())["panels"]
        for target in panel.get("targets", [])
    ]


def rules():
    """Every alert."""
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    return group["rules"]


def alert_queries():
    """Every expression of an alert, with the labels that its texts show."""
    return [(rule["expr"], set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))) for rule in rules()]


def wrong(query, told):
    """Say what is wrong with a query, by taking it apart: matchers, groupings, then names."""
    names = shown() | {"up": OF_PROMETHEUS}
    rest, known = query, set()
    for name, matchers in re.findall(r"(\w+){(.*?)}", query):
        known |= names.get(name, set())
        for label, value in re.findall(r'(\w+)[!=~]+"(.*?)"', matchers):
            if label not in names.get(name, ()):
                yield f"{name} has no label {label}"
            if label == "reason" and name == "keyturn_refusals_total":
                yield from (f"no reason {each}" for each in value.split("|") if each not in set(Reason))
    rest = re.sub(r"{.*?}|\[.*?\]", "", rest)
    groups = [set(group.split(", ")) for group in re.findall(r"\bby \((.*?)\)", rest)]
    bare = re.sub(r"\bby \(.*?\)|\b\d[\d.]*\b", "", rest)
    found = set(re.findall(r"[a-zA-Z_]\w*", bare)) - WORDS
    yield from (f"no metric {name}" for name in found - names.keys())
    labels = set().union(*(names[name] for name in found & names.keys()))
    yield from (f"nothing has a label {each}" for group in groups for each in group - labels)
    if groups:
        yield from (
            f"{each} is not grouped by" for each in told if not any(each in group for group in groups)
        )
    if rest.count("(") != rest.count(")"):
        yield "parentheses do not close"


def test_page_is_current():
    """The committed table is what the code says; `python -m tests.docs.render_metrics` renews it."""
    before = PAGE.read_text(encoding="utf-8")
    assert before == page(before), "run: python -m tests.docs.render_metrics"


@pytest.mark.parametrize("queries", [board_queries, alert_queries])
def test_queries_name_what_there_is(queries):
    """Every query of the board and of the alerts names metrics, labels and reasons that exist."""
    asked = queries()
    assert len(asked) >= 15
    assert {query: found for query, told in asked if (found := list(wrong(query, told)))} == {}


def test_what_is_wrong_is_found():
    """A query with a metric, a label, a reason or a grouping that does not exist is found out."""
    assert list(wrong("sum(keyturn_requests)", set())) == ["no metric keyturn_requests"]
    assert list(wrong('keyturn_refusals_total{dialect="x"}', set())) == [
        "keyturn_refusals_total has no label dialect"
    ]
    assert list(wrong('keyturn_refusals_total{reason=~"fault|sulk"}', set())) == ["no reason sulk"]
    assert list(wrong("sum by (route) (keyturn_workers)", set())) == ["nothing has a label route"]
    assert list(wrong("sum by (instance) (keyturn_workers)", {"job"})) == ["job is not grouped by"]
    assert list(wrong("sum((keyturn_workers)", set())) == ["parentheses do not close"]


def test_board_can_be_imported():
    """The board has what Grafana's classic model wants, and every panel a place and a number of its own."""
    board = json.loads(BOARD.read_text())
    assert {"title", "uid", "schemaVersion", "panels", "templating", "time"} <= board.keys()
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
    used = set(re.findall(r"\$(?:\{(\w+)\}|([a-z]\w*))", json.dumps(panels)))
    assert {one or other for one, other in used} == {each["name"] for each in board["templating"]["list"]}


def test_every_alert_says_what_to_do():
    """Each alert has a name of its own, how urgent it is, what happened and what to do."""
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"].keys() == {"summary", "action"}
