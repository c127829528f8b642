"""How many searches of the audit trail may be under way: all reads share few threads, and searches are long.

Without an end to them one organisation's administrators could keep everybody's reads waiting until they are
given up, those too by which this process learns what has ended, so that it would issue nothing (TN-04).
"""

import contextlib
from collections import Counter
from collections.abc import Iterator

from keyturn.core.errors import SlowDown
from keyturn.core.vocabulary import OrganisationId, Reason

MOST_OF_ONE = 4
"""Of one organisation's administrators at once, or of the deployment's."""
MOST_OF_ALL = 12
"""Of all organisations' administrators at once; those of the deployment are not held up by them."""


class Searches:
    """Counts the searches that are under way in this process."""

    def __init__(self) -> None:
        """Begin with none."""
        self._under_way: Counter[OrganisationId | None] = Counter()

    @contextlib.contextmanager
    def one(self, reach: OrganisationId | None) -> Iterator[None]:
        """Be one of them; ``reach`` is the caller's organisation, None for the deployment.

        Raises:
            SlowDown: There are enough.
        """
        confined = sum(count for of, count in self._under_way.items() if of is not None)
        full = reach is not None and confined >= MOST_OF_ALL
        if full or self._under_way[reach] >= MOST_OF_ONE:
            raise SlowDown(Reason.RATE_LIMIT, retry_after=1)
        self._under_way[reach] += 1
        try:
            yield
        finally:
            self._under_way[reach] -= 1
            self._under_way += Counter()  # forgets who has none
