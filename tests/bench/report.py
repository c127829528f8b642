"""The report of a run: what was measured, which targets that judges, and the same for people and programs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.figures import Round, Spread, Target, Verdict, advantage, quantile, table
from bench.measure import Found
from bench.scenarios import Comparison, Scenario

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
    found: list[tuple[Scenario, Found]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def verdicts(self) -> list[tuple[str, Verdict]]:
        """Judge every target for which this run measured both sides; with the scenario's name."""
        judged = []
        for scenario, found in self.found:
            for comparison in scenario.comparisons:
                figure = self._figure(comparison, found.rounds)
                if figure is not None:
                    judged.append((scenario.name, Verdict(comparison.target, figure)))
            start = found.starts.get(scenario.starts, {})
            for target, name in ((MEMORY, "megabytes"), (START, "ready_seconds")):
                if name in start:
                    judged.append((scenario.name, Verdict(target, Spread.of([start[name]]))))
        return judged

    def _figure(self, comparison: Comparison, rounds: Mapping[str, list[Round]]) -> Spread | None:
        ours, theirs = rounds.get(comparison.ours), rounds.get(comparison.theirs)
        limit = self.machine.get(f"{comparison.limit} signatures/s")
        if ours and comparison.limit and isinstance(limit, float):
            return Spread.of(1e6 / limit / measured.cpu_micros for measured in ours if measured.counted)
        if ours and theirs and comparison.p99:
            pairs = zip(ours, theirs, strict=True)
            return Spread.of(
                quantile(it.latencies, 0.99) / quantile(other.latencies, 0.99) for it, other in pairs
            )
        return advantage(ours, theirs) if ours and theirs else None

    def skipped(self) -> list[str]:
        """Say what was not measured, and why."""
        return [
            f"{key} ({scenario.name}): {reason}"
            for scenario, found in self.found
            for key, reason in found.skipped.items()
        ]

    def text(self) -> str:
        """Write the report for a person."""
        lines = [f"{name}: {plain(value)}" for name, value in self.machine.items()]
        for scenario, found in self.found:
            lines += ["", f"{scenario.name}: {scenario.says}"]
            if found.rounds:
                lines.append(
                    table([HEADINGS, *(cells(key, summary(rounds)) for key, rounds in found.rounds.items())])
                )
            lines += found.kept
        lines += ["", "Ratios are of CPU time a request, the median of rounds that ran next to each other:"]
        lines += [f"  {verdict.line()}" for _, verdict in self.verdicts()]
        lines += ["", *(f"Skipped: {reason}" for reason in self.skipped()), *self.notes]
        lines += [f"FAILED: {reason}" for reason in self.failed]
        return "\n".join(lines).rstrip()

    def data(self) -> dict[str, Any]:
        """Give the report for a program."""
        return {
            "machine": self.machine,
            "scenarios": [
                {
                    "name": scenario.name,
                    "says": scenario.says,
                    "seconds": found.seconds,
                    "lines": {key: summary(rounds) for key, rounds in found.rounds.items()},
                    "rounds": {key: [_bare(each) for each in rounds] for key, rounds in found.rounds.items()},
                    "starts": {key: dict(start) for key, start in found.starts.items()},
                    "kept": found.kept,
                }
                for scenario, found in self.found
            ],
            "targets": [
                {
                    "scenario": name,
                    "says": verdict.target.says,
                    "figure": verdict.figure.middle,
                    "low": verdict.figure.low,
                    "high": verdict.figure.high,
                    "bars": {
                        bar: {"value": value, "met": met}
                        for bar, value, met in verdict.target.met(verdict.figure.middle)
                    },
                }
                for name, verdict in self.verdicts()
            ],
            "skipped": self.skipped(),
            "failed": self.failed,
            "notes": self.notes,
        }


def summary(rounds: Sequence[Round]) -> Mapping[str, float]:
    """Sum up one line's rounds."""
    latencies = [seconds for measured in rounds for seconds in measured.latencies] or [0.0]
    rate, cpu = Spread.of(item.rate for item in rounds), Spread.of(item.cpu_micros for item in rounds)
    return {
        "requests_a_second": rate.middle,
        "requests_a_second_spread_percent": rate.percent,
        "cpu_micros": cpu.middle,
        "cpu_micros_spread_percent": cpu.percent,
        "busy": Spread.of(item.busy for item in rounds).middle,
        "p50_ms": quantile(latencies, 0.50) * 1000,
        "p90_ms": quantile(latencies, 0.90) * 1000,
        "p99_ms": quantile(latencies, 0.99) * 1000,
        "refused": sum(item.refused for item in rounds),
    }


def cells(key: str, found: Mapping[str, float]) -> tuple[str, ...]:
    """Write the summary of one line, cell by cell, as ``HEADINGS`` names them."""
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


def plain(value: str | float) -> str:
    """Write a fact about the machine."""
    return value if isinstance(value, str) else f"{value:,.0f}" if value >= 100 else f"{value:g}"


def _bare(measured: Round) -> dict[str, float]:
    """Give a round without its thousands of latencies."""
    return {name: value for name, value in asdict(measured).items() if name != "latencies"}
