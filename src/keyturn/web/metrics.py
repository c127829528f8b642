"""What an operator can count (``measures`` says what there is).

What is counted at every request is counted in plain numbers, on the event loop alone, where it is also read.
"""

from bisect import bisect_left
from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from keyturn.core.clock import Clock
from keyturn.core.histogram import CHECK_BOUNDS, CheckTimes
from keyturn.core.notices import Tallies
from keyturn.web.measures import Family, exposition, family, histogram, single
from keyturn.web.slots import Slots
from keyturn.web.together import Together

_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds of the histogram's buckets in seconds; one more takes the rest."""

OK = "ok"
NO_GRANT = ""
"""The grant of what asks for no token."""
UNREAD = "unread"
"""The grant of what was refused before it was known for what it asks."""

Source = Callable[[], Iterable[Family]]


class Metrics:
    """The counters of one process."""

    def __init__(self) -> None:
        """Count nothing yet."""
        self._requests: Tally[tuple[str, str, str, str]] = Tally()
        self._buckets: Tally[tuple[str, int]] = Tally()
        self._seconds: dict[str, float] = defaultdict(float)
        self._framing: Tally[str] = Tally()
        self._sources: list[Source] = [self._answers]
        self._together: Together | None = None

    def answered(self, dialect: str, route: str, grant: str, outcome: str, seconds: float) -> None:
        """Count one answer and its time."""
        self._requests[dialect, route, grant, outcome] += 1
        self._buckets[dialect, bisect_left(_BOUNDS, seconds)] += 1
        self._seconds[dialect] += seconds

    def framing_refused(self, reason: str) -> None:
        """Count one refusal by ``web/protocol.py``."""
        self._framing[reason] += 1

    def watch(self, source: Source) -> None:
        """Show what a source gives, asked when somebody looks."""
        self._sources.append(source)

    def watch_store(self, figures: Callable[[], Mapping[str, float]]) -> None:
        """Show the store's figures."""
        self.watch(lambda: [single(f"keyturn_store_{name}", value) for name, value in figures().items()])

    def watch_checks(self, times: CheckTimes) -> None:
        """Show how long checks of credentials took."""
        kinds = {"fast": times.of_fast, "slow": times.of_slow}
        self.watch(
            lambda: [
                histogram(
                    "keyturn_credential_check_seconds",
                    CHECK_BOUNDS,
                    [((kind,), each.counts, each.total) for kind, each in kinds.items()],
                )
            ]
        )

    def watch_upkeep(self, jobs: Callable[[], Mapping[str, tuple[float, float, int]]]) -> None:
        """Show the last run, the last success and the failures of each job."""
        names = (
            "keyturn_upkeep_last_run_timestamp_seconds",
            "keyturn_upkeep_last_success_timestamp_seconds",
            "keyturn_upkeep_failures",
        )

        def seen() -> Iterable[Family]:
            found = jobs()
            for place, name in enumerate(names):
                yield family(name, [((job,), figures[place]) for job, figures in found.items()])

        self.watch(seen)

    def watch_notices(self, tallies: Tallies, clock: Clock) -> None:
        """Show what became of the notices that were tried, and what the outbox held when it was looked at."""

        def seen() -> Iterable[Family]:
            oldest = tallies.oldest_at
            age = 0.0 if oldest is None else max(0.0, (clock.now() - oldest).total_seconds())
            outcomes = ("delivered", "delayed", "dead", "postponed")
            yield family("keyturn_notice_tries", [((each,), tallies.outcomes[each]) for each in outcomes])
            yield single("keyturn_outbox_depth", tallies.depth)
            yield single("keyturn_outbox_oldest_seconds", age)

        self.watch(seen)

    def share(self, slots: Slots, number: int) -> Together:
        """Show the figures of all workers from here on; who asks sees to it that this one's are published."""
        self._together = Together(slots, number, self.own)
        return self._together

    def own(self) -> list[Family]:
        """Give what this process counted."""
        return [each for source in self._sources for each in source()]

    def shown(self) -> tuple[str, bytes]:
        """Give what ``/metrics`` answers: the content type and the text."""
        return exposition(self.own() if self._together is None else self._together.collect())

    def _answers(self) -> Iterable[Family]:
        """Put the numbers of answers, and how long they took, into families; each was counted once."""
        requests: Tally[tuple[str, ...]] = Tally()
        tokens: Tally[tuple[str, ...]] = Tally()
        refusals: Tally[tuple[str, ...]] = Tally()
        for (dialect, route, grant, outcome), count in self._requests.items():
            requests[dialect, route, outcome] += count
            if grant != NO_GRANT:
                tokens[dialect, grant, outcome] += count
            if outcome != OK:
                refusals[outcome,] += count
        yield family("keyturn_requests", requests.items())
        yield family("keyturn_token_requests", tokens.items())
        yield family("keyturn_refusals", refusals.items())
        places = range(len(_BOUNDS) + 1)
        yield histogram(
            "keyturn_request_seconds",
            _BOUNDS,
            [
                ((dialect,), [self._buckets[dialect, place] for place in places], total)
                for dialect, total in self._seconds.items()
            ],
        )
        yield family(
            "keyturn_framing_refused", [((reason,), count) for reason, count in self._framing.items()]
        )
