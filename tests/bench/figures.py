"""What is computed from measurements: medians, spreads, ratios and whether a target is met. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median


@dataclass(frozen=True, slots=True)
class Round:
    """One subject, measured once.

    Args:
        answered: Requests answered with 200 inside the window.
        refused: Requests answered with anything else.
        seconds: Length of the window.
        cpu_seconds: User and system time that the server's processes used in it.
        latencies: Seconds from sending a request to having its whole answer.
    """

    answered: int
    refused: int
    seconds: float
    cpu_seconds: float
    latencies: Sequence[float] = ()

    @property
    def rate(self) -> float:
        """Answered requests a second."""
        return self.answered / self.seconds

    @property
    def cpu_micros(self) -> float:
        """Processor time of one answered request, in microseconds."""
        return self.cpu_seconds / self.answered * 1e6 if self.answered else float("inf")

    @property
    def counted(self) -> bool:
        """Whether it lasted long enough to tell anything: there was an answer, and it took processor time."""
        return self.cpu_seconds > 0 and self.answered + self.refused > 0

    @property
    def busy(self) -> float:
        """How much of its one core the server used: well below 1 means that it was waiting."""
        return self.cpu_seconds / self.seconds


@dataclass(frozen=True, slots=True)
class Spread:
    """A median and the quartiles, between which the middle half of the rounds was.

    Not the extremes: cores of a shared machine run now half as fast again and now not, so that the more
    rounds there are the more certain a wild one is.
    """

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Sum up at least one value."""
        known = list(values)
        return cls(median(known), quantile(known, 0.25), quantile(known, 0.75))

    @property
    def percent(self) -> float:
        """The distance between the quartiles, relative to the median, in percent."""
        return (self.high - self.low) / self.middle * 100 if self.middle else 0.0


def quantile(values: Sequence[float], share: float) -> float:
    """Give the smallest value that at least ``share`` of all values do not exceed."""
    ranked = sorted(values)
    return ranked[max(0, ceil(share * len(ranked)) - 1)]


def advantage(ours: Sequence[Round], theirs: Sequence[Round]) -> Spread:
    """Say how many of our requests fit into the processor time of one of theirs.

    Rounds are compared pair by pair: neighbours in time saw the same noise.
    One that is not ``counted`` tells nothing.
    """
    pairs = [(our, their) for our, their in zip(ours, theirs, strict=True) if our.counted and their.counted]
    return Spread.of(their.cpu_micros / our.cpu_micros for our, their in pairs)


@dataclass(frozen=True, slots=True)
class Target:
    """A figure that has to be reached.

    Args:
        says: What is compared with what.
        bars: Name and value of each bar, the easiest first.
        least: Whether the figure must be at least the bar; otherwise at most.
    """

    says: str
    bars: tuple[tuple[str, float], ...]
    least: bool = True

    def met(self, figure: float) -> list[tuple[str, float, bool]]:
        """Judge a figure against each bar."""
        return [(name, bar, figure >= bar if self.least else figure <= bar) for name, bar in self.bars]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target and what was measured for it."""

    target: Target
    figure: Spread

    def line(self) -> str:
        """Write it as one line."""
        judged = ", ".join(
            f"{name} {bar:.3g}: {'met' if met else 'MISSED'}"
            for name, bar, met in self.target.met(self.figure.middle)
        )
        figure = self.figure
        between = f" ({figure.low:.2f} to {figure.high:.2f})" if figure.low != figure.high else ""
        return f"{self.target.says}: {figure.middle:.2f}{between}; {judged or 'no bar'}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Align rows into columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
