"""The management listener: is it alive, is it ready, what does it count (RE-11, HT-08)."""

from collections.abc import Awaitable, Callable

import msgspec

from keyturn.web.desk import Receive, Scope, Send
from keyturn.web.metrics import Metrics

Check = Callable[[], Awaitable[str | None]]
"""Says what is wrong, or None."""


class Management:
    """The management ASGI application: never on the public listener.

    Args:
        checks: By name; readiness needs every one of them to find nothing wrong.
    """

    def __init__(self, metrics: Metrics, checks: dict[str, Check]) -> None:
        """Take what was assembled; ready until draining."""
        self._metrics = metrics
        self._checks = checks
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve ``/health/live``, ``/health/ready`` and ``/metrics``."""
        if scope["type"] != "http":
            return
        await receive()
        status, content_type, body = await self._answer(scope["path"])
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, path: str) -> tuple[int, str, bytes]:
        if path == "/health/live":
            return 200, "application/json", b'{"status":"live"}'
        if path == "/health/ready":
            problems = await self._problems()
            body = {"status": "not ready" if problems else "ready", "problems": problems}
            return 503 if problems else 200, "application/json", msgspec.json.encode(body)
        if path == "/metrics":
            return 200, *self._metrics.shown()
        return 404, "application/json", b'{"error":"not_found"}'

    async def _problems(self) -> dict[str, str]:
        if self.draining:
            return {"draining": "the server is stopping"}
        found = {name: await check() for name, check in self._checks.items()}
        return {name: problem for name, problem in found.items() if problem is not None}
