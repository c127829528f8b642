"""A deployment and an administrator of it, over the desk in process."""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from admin.described import check_described
from harness import ACTOR, Answer, Deployment, deployment
from keyturn.core.admin_records import ALL
from keyturn.directory.admin_tokens import AdminTokenWish, create_admin_token

BASE = "/admin/v1"


class Admin:
    """Whoever has an admin token."""

    def __init__(self, here: Deployment, token: str | None, address: str = "192.0.2.9") -> None:
        """Call a deployment."""
        self.here = here
        self.token = token
        self.address = address

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: str = "",
        headers: dict[str, str] | None = None,
        version: int | None = None,
        key: str | None = None,
    ) -> Answer:
        """Send one request; ``path`` is below the base."""
        sent = []
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        if body is not None:
            sent.append(("Content-Type", "application/json"))
        if version is not None:
            sent.append(("If-Match", f'"{version}"'))
        if key is not None:
            sent.append(("Idempotency-Key", key))
        sent += (headers or {}).items()
        return await self.send(method, BASE + path, query, dict(sent), content)

    async def send(
        self,
        method: str,
        path: str,
        query: str,
        headers: dict[str, Any],
        body: bytes,
    ) -> Answer:
        """Send a request, and check that its answer is one that the OpenAPI document has."""
        sent = [*headers.items()]
        if self.token is not None:
            sent.append(("Authorization", f"Bearer {self.token}"))
        answer = await self.here.ask(
            method, path, query=query.encode(), headers=sent, body=body, address=self.address
        )
        match = self.here.desk._router.match(path)
        if match is not None and method in match.routes:
            check_described(match.routes[method].table.path, method, answer)
        return answer

    async def get(self, path: str, query: str = "") -> Any:
        """Read what must be there."""
        answer = await self.call("GET", path, query=query)
        assert answer.status == 200, answer
        return answer.json

    async def make(self, path: str, body: Any = None, status: int = 201, **options: Any) -> Any:
        """Send what must succeed."""
        answer = await self.call("POST", path, body, **options)
        assert answer.status == status, answer
        return answer.json


async def token_for(here: Deployment, *scopes: str, slug: str | None = None) -> str:
    """Make an admin token, of one organisation or of all."""
    organisation_id = None if slug is None else (await here.organisation(slug)).id
    wish = AdminTokenWish(name="test", scopes=scopes or (ALL,), organisation_id=organisation_id)
    _, secret = await create_admin_token(
        ACTOR,
        here.local.deployment,
        wish,
        digester=here.local.digester,
        now=here.clock.now(),
        dice=here.local.dice,
    )
    return secret.reveal()


@contextlib.asynccontextmanager
async def administration() -> AsyncIterator[Admin]:
    """Open a deployment, and be its administrator."""
    async with deployment() as here:
        yield Admin(here, await token_for(here))
