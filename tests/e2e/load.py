"""Callers that ask for tokens all the time, each in a thread, and what they were answered."""

import contextlib
import threading
import time
from collections.abc import Iterator
from http.client import HTTPException

from e2e.servers import Answer, Caller, Client


class Load:
    """What a crowd of callers saw.

    Args:
        kept: Whether each keeps its connection; otherwise every request makes one.
    """

    def __init__(
        self, url: str, client: Client, callers: int, *, kept: bool = True, pause: float = 0.0
    ) -> None:
        self._url = url
        self._client = client
        self._kept = kept
        self._pause = pause
        self._stopping = threading.Event()
        self.answers: list[tuple[float, Answer]] = []
        self.refused = 0
        self.broken: list[str] = []
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(callers)]

    def start(self) -> None:
        """Let everybody begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let everybody finish the request it has."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(30)

    @property
    def tokens(self) -> list[str]:
        """Every token that was answered."""
        return [answer.json["access_token"] for _, answer in self.answers if answer.status == 200]

    @property
    def statuses(self) -> dict[int, int]:
        """How many answers had which status."""
        seen = [answer.status for _, answer in self.answers]
        return {status: seen.count(status) for status in set(seen)}

    def _run(self) -> None:
        caller = Caller(self._url)
        fresh = True
        while not self._stopping.is_set():
            try:
                answer = self._client.post(caller)
                self.answers.append((time.monotonic(), answer))
                fresh = not self._kept or answer.headers.get("connection", "").lower() == "close"
            except ConnectionRefusedError:
                self.refused += 1
                self._stopping.wait(0.01)
                fresh = True
            except (OSError, HTTPException) as error:
                kind = "new" if fresh else "kept"
                self.broken.append(f"{kind} connection: {type(error).__name__}")
                fresh = True
            if fresh:
                caller.close()
            self._stopping.wait(self._pause)
        caller.close()


@contextlib.contextmanager
def under_load(
    url: str, client: Client, callers: int, *, kept: bool = True, pause: float = 0.0
) -> Iterator[Load]:
    """Keep a server busy for a block."""
    load = Load(url, client, callers, kept=kept, pause=pause)
    load.start()
    try:
        yield load
    finally:
        load.stop()
