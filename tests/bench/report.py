"""The report of a run: which targets it can judge, the table, and the same for machines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.figures import Round, Spread, Target, Verdict, advantage, quantile, table

TARGETS: dict[tuple[str, str], Target] = {
    ("keyturn ES256", "oidc-provider ES256"): Target(
        "ES256 durable : warm oidc-provider storing nothing",
        (("bar", 2.5), ("must", 3.0), ("moonshot", 5.0)),
    ),
    ("keyturn ES256", "bare"): Target(
        "ES256 durable : bare form-to-JSON application", (("must", 0.30), ("moonshot", 0.45))
    ),
    ("keyturn RS256", "oidc-provider RS256"): Target(
        "RS256 durable : warm oidc-provider storing nothing", (("must", 1.5), ("moonshot", 2.5))
    ),
    ("keyturn endorsed ES256", "keyturn ES256"): Target(
        "endorsed : oauth2, the same signature and row", (("must", 0.85), ("moonshot", 0.95))
    ),
    ("keyturn refresh", "oidc-provider refresh"): Target(
        "refresh, durable rotation : oidc-provider in memory without rotation",
        (("must", 3.0), ("moonshot", 4.0)),
    ),
    ("keyturn refresh", "oidc-provider refresh, rotating"): Target(
        "refresh, durable rotation : oidc-provider rotating in memory", (("must", 3.0), ("moonshot", 4.0))
    ),
    ("keyturn introspection", "oidc-provider introspection"): Target(
        "introspection of JWTs that are asked about again : oidc-provider's of opaque tokens in memory",
        (("must", 3.0), ("moonshot", 5.0)),
    ),
    ("keyturn introspection, each once", "oidc-provider introspection"): Target(
        "introspection of JWTs at first sight : oidc-provider's of opaque tokens in memory",
        (("must", 3.0), ("moonshot", 5.0)),
    ),
    ("keyturn revocation", "oidc-provider revocation"): Target(
        "revocation, durable : oidc-provider's of opaque tokens in memory", ()
    ),
}
"""Ours and theirs -> how many of ours fit into the processor time of one of theirs."""

SIGNING = Target(
    "RS256 durable : raw RSA-2048 signature, the share of a token's processor time",
    (("must", 0.50), ("moonshot", 0.85)),
)
MEMORY = Target("resident megabytes of one idle worker", (("must", 80.0), ("moonshot", 50.0)), least=False)
START = Target("seconds from start to the first token", (("must", 1.0), ("moonshot", 0.5)), least=False)

HEADINGS = (
    "",
    "requests/s",
    "spread",
    "CPU us/request",
    "spread",
    "core busy",
    "p50 ms",
    "p99 ms",
    "not 200",
)


@dataclass(slots=True)
class Report:
    """Everything that one run found out."""

    machine: dict[str, str | float] = field(default_factory=dict)
    rounds: dict[str, list[Round]] = field(default_factory=dict)
    start: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def verdicts(self) -> list[Verdict]:
        """Judge every target for which this run measured both sides."""
        found = [
            Verdict(target, advantage(self.rounds[ours], self.rounds[theirs]))
            for (ours, theirs), target in TARGETS.items()
            if ours in self.rounds and theirs in self.rounds
        ]
        if "keyturn RS256" in self.rounds and "RS256 signatures/s" in self.machine:
            micros = 1e6 / float(self.machine["RS256 signatures/s"])
            shares = [micros / measured.cpu_micros for measured in self.rounds["keyturn RS256"]]
            found.append(Verdict(SIGNING, Spread.of(shares)))
        for target, name in ((MEMORY, "megabytes"), (START, "ready_seconds")):
            if name in self.start:
                found.append(Verdict(target, Spread.of([self.start[name]])))
        return found

    def text(self) -> str:
        """Write the report for a person."""
        lines = [table([HEADINGS, *(row(key, rounds) for key, rounds in self.rounds.items())]), ""]
        lines += [f"{name}: {_plain(value)}" for name, value in self.machine.items()]
        lines += ["", "Ratios are of CPU time a request, the median of rounds that ran next to each other:"]
        lines += [f"  {verdict.line()}" for verdict in self.verdicts()]
        if self.notes:
            lines += ["", *self.notes]
        return "\n".join(lines)

    def data(self) -> dict[str, Any]:
        """Give the report for a program."""
        return {
            "machine": self.machine,
            "start": self.start,
            "subjects": {key: summary(rounds) for key, rounds in self.rounds.items()},
            "targets": [
                {
                    "says": verdict.target.says,
                    "figure": verdict.figure.middle,
                    "low": verdict.figure.low,
                    "high": verdict.figure.high,
                    "bars": {
                        name: {"value": bar, "met": met}
                        for name, bar, met in verdict.target.met(verdict.figure.middle)
                    },
                }
                for verdict in self.verdicts()
            ],
            "notes": self.notes,
        }


def summary(rounds: Sequence[Round]) -> Mapping[str, float]:
    """Sum up one subject's rounds."""
    latencies = [seconds for measured in rounds for seconds in measured.latencies] or [0.0]
    rate, cpu = Spread.of(item.rate for item in rounds), Spread.of(item.cpu_micros for item in rounds)
    return {
        "requests_a_second": rate.middle,
        "requests_a_second_spread_percent": rate.percent,
        "cpu_micros": cpu.middle,
        "cpu_micros_spread_percent": cpu.percent,
        "busy": Spread.of(item.busy for item in rounds).middle,
        "p50_ms": quantile(latencies, 0.50) * 1000,
        "p99_ms": quantile(latencies, 0.99) * 1000,
        "refused": sum(item.refused for item in rounds),
    }


def row(key: str, rounds: Sequence[Round]) -> tuple[str, ...]:
    """Write one subject's line of the table."""
    found = summary(rounds)
    return (
        key,
        f"{found['requests_a_second']:,.0f}",
        f"{found['requests_a_second_spread_percent']:.0f} %",
        f"{found['cpu_micros']:,.0f}",
        f"{found['cpu_micros_spread_percent']:.0f} %",
        f"{found['busy']:.2f}",
        f"{found['p50_ms']:.1f}",
        f"{found['p99_ms']:.1f}",
        f"{found['refused']:,.0f}",
    )


def _plain(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
