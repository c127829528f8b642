"""What is counted, under names and labels that no caller can choose."""

from typing import get_args

from prometheus_client.parser import text_string_to_metric_families

from harness import basic, deployment
from keyturn.core.histogram import Histogram
from keyturn.core.vocabulary import Reason
from keyturn.web.framing import Refused
from keyturn.web.measures import MEASURES, single
from keyturn.web.metrics import OK, UNREAD, Metrics

PATH = "/o/acme/oauth2/token"
FORM = ("Content-Type", "application/x-www-form-urlencoded")


def samples(metrics):
    """Read what is shown as Prometheus does: name and labels to value."""
    content_type, text = metrics.shown()
    assert content_type.startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def of(metrics, name):
    """Read one metric: its labels' values in the order of their names, to its value."""
    found = samples(metrics)
    return {
        tuple(value for _, value in labels): count for (one, labels), count in found.items() if one == name
    }


async def test_labels_are_bounded():
    """HT-07: whatever callers send, each label's value is one that a table or an enum has."""
    metrics = None
    async with deployment() as here:
        members = here.members["acme"]["oauth2"]
        right = ("Authorization", basic(members["client_id"], members["client_secret"]))
        wrong = ("Authorization", basic("hush-client", "hush-secret"))
        for who in (right, wrong):
            for body in (
                b"grant_type=client_credentials",
                b"grant_type=hush",
                b"hush",
                b"grant_type=password",
            ):
                await here.ask("POST", PATH, headers=[FORM, who], body=body)
        await here.ask("HUSH", PATH)
        await here.ask("POST", "/o/hush/oauth2/token", headers=[FORM, right], body=b"grant_type=hush")
        await here.ask("GET", "/admin/v1/organisations/hush", headers=[("Authorization", "Bearer hush")])
        await here.ask("GET", "/hush")
        metrics = here.metrics
        dialects = {*here.local.dialects, "admin"}
        routes = {route.name for each in here.local.dialects.values() for route in each.routes}
        grants = {
            exchange.grant_type
            for each in here.local.dialects.values()
            for route in each.routes
            for exchange in route.exchanges
        }
    outcomes = {OK, *Reason}
    allowed = {
        "dialect": dialects,
        "grant": {*grants, UNREAD},
        "outcome": outcomes,
        "reason": {*Reason, *get_args(Refused), "tls_handshake"},
        "hash": {"fast", "slow"},
    }
    found = samples(metrics)
    for name, labels in found:
        assert "hush" not in f"{name}{labels}"
        for label, value in labels:
            if label == "route":
                assert value in routes or ("dialect", "admin") in labels
            elif label != "le":
                assert value in allowed[label], (name, label, value)
    assert (
        found[
            "keyturn_token_requests_total",
            (("dialect", "oauth2"), ("grant", UNREAD), ("outcome", "grant_unknown")),
        ]
        >= 1
    )


async def test_tokens_refusals_and_checks():
    """A token counts by dialect, grant and outcome, a refusal by its reason, each check by its kind."""
    async with deployment() as here:
        members = here.members["acme"]["oauth2"]
        for secret in (members["client_secret"], members["client_secret"], "wrong"):
            who = ("Authorization", basic(members["client_id"], secret))
            await here.ask("POST", PATH, headers=[FORM, who], body=b"grant_type=client_credentials")
        metrics = here.metrics
    assert of(metrics, "keyturn_token_requests_total") == {
        ("oauth2", "client_credentials", OK): 2,
        ("oauth2", "client_credentials", "wrong_secret"): 1,
    }
    assert of(metrics, "keyturn_refusals_total") == {("wrong_secret",): 1}
    assert of(metrics, "keyturn_credential_check_seconds_count") == {("fast",): 3, ("slow",): 0}


async def test_passwords_are_slow_checks():
    """The check of a password, also of nobody's, counts as a slow one."""
    async with deployment() as here:
        asker = here.members["acme"]["oauth2"]["public_client_id"]
        body = f"grant_type=password&client_id={asker}&username=nobody&password=nothing"
        await here.ask("POST", PATH, headers=[FORM], body=body.encode())
        metrics = here.metrics
    assert list(of(metrics, "keyturn_refusals_total").values()) == [1]
    assert of(metrics, "keyturn_credential_check_seconds_count")["slow",] == 1


def test_a_histogram_counts_up_to_its_bounds():
    """A duration is counted in the bucket whose bound it does not pass, a longer one in the last."""
    histogram = Histogram((0.1, 1.0))
    for seconds in (0.1, 0.5, 7.0):
        histogram.add(seconds)
    assert (histogram.counts, histogram.total) == ([1, 1, 1], 7.6)


def test_nothing_is_shown_that_is_not_described():
    """A figure that the table of metrics does not know is an error where it is made."""
    metrics = Metrics()
    metrics.watch(lambda: [single(name, 1.0) for name in ("keyturn_store_units", "keyturn_workers")])
    shown = {name for name, _ in samples(metrics)}
    assert shown == {"keyturn_store_units", "keyturn_workers"} <= MEASURES.keys()
