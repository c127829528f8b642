"""What a connection remembers: the answer is that of a fresh one, whatever was sent on it before."""

import asyncio
import json
import random

import pytest
import uvicorn
from uvicorn.server import ServerState

from harness import Deployment, basic, deployment
from integration.renewal import demo_caller
from keyturn.web.framing import ProtocolLimits
from keyturn.web.protocol import protocol_class


class Connection:
    """A connection of a client that sends one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take an open one."""
        self._reader = reader
        self._writer = writer

    async def ask(self, request: bytes) -> tuple[bytes, bytes]:
        """Send a request as it is, and give the answer's status line and body."""
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return head.partition(b"\r\n")[0], await self._reader.readexactly(length)

    def close(self) -> None:
        """Leave."""
        self._writer.close()


@pytest.fixture
async def here():
    """Open a deployment."""
    async with deployment() as opened:
        yield opened


@pytest.fixture
async def connect(here: Deployment):
    """Serve it on a socket, behind the protocol that remembers heads; gives what opens connections."""
    config = uvicorn.Config(here.desk, ws="none", lifespan="off", log_config=None, proxy_headers=False)
    config.load()
    state, protocol = ServerState(), protocol_class(ProtocolLimits(), lambda _: None)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    port = server.sockets[0].getsockname()[1]

    async def opened() -> Connection:
        return Connection(*await asyncio.open_connection("127.0.0.1", port))

    yield opened
    server.close()


def posted(path: str, body: str, fields: dict[str, str]) -> bytes:
    """Spell a request."""
    lines = [f"{name}: {value}" for name, value in {**fields, "Content-Length": str(len(body))}.items()]
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: keys.example", *lines, "", body]).encode()


BODIES = (
    "token={token}",
    "token={token}&x=%20",
    "x={other}&token={token}",
    "x={other}%20&token={token}",
    "token={token}&token_type_hint={other}",
    "token={token}&token={token}",
)
FORM, JSON = "application/x-www-form-urlencoded", "application/json"


async def test_what_varies_is_read(here: Deployment, connect) -> None:
    """IN-01: a question that differs in one place, wherever that is, is not answered as the one before."""
    caller = demo_caller(here)
    tokens = [(await caller.begin("read"))["access_token"] for _ in range(3)]
    await caller.post("revoke", token=tokens[0])
    members = here.members["acme"]["oauth2"]
    who = basic(members["client_id"], members["client_secret"])
    places = {
        "token": tokens,
        "other": tokens,
        "body": BODIES,
        "header": ("X-Request-Id", "X-Request-Id", None),
        "media": (FORM, FORM, FORM, JSON),
        "slug": ("acme", "acme", "acme", "globex"),
    }
    rng = random.Random(5)  # noqa: S311  # a test repeats itself
    now = {name: some[0] for name, some in places.items()}
    kept, seen = await connect(), set()
    for _ in range(200):
        (place,) = rng.choices(list(places), weights=(3, 9, 3, 1, 1, 1))
        now[place] = rng.choice(places[place])
        fields = {"Authorization": who, "Content-Type": now["media"]}
        if now["header"] is not None:
            fields[now["header"]] = now["other"]
        body = now["body"].format(**now)
        request = posted(f"/o/{now['slug']}/oauth2/introspect", body, fields)
        fresh = await connect()
        told = await fresh.ask(request)
        fresh.close()
        assert await kept.ask(request) == told, request
        seen.add(b'"active":true' in told[1])
    kept.close()
    assert seen == {True, False}


async def test_a_renewal_by_a_header(here: Deployment, connect) -> None:
    """RT-05: where a contract reads the token from a header, nothing in the body takes its place."""
    members = here.members["acme"]["mend"]
    login = {"email": members["email"], "userKey": members["user_key"], "orgToken": members["org_token"]}
    body, media = json.dumps(login).encode(), ("Content-Type", JSON)
    answer = await here.ask("POST", "/api/v2.0/login", headers=[media], body=body)
    good = answer.json["retVal"]["refreshToken"]
    bad = good[:-1] + ("A" if good[-1] != "A" else "B")
    kept = await connect()
    for shown, beside, status in ((good, good, b"200"), (good, bad, b"200"), (bad, good, b"403")) * 2:
        fields = {"wss-refresh-token": shown, "Content-Type": JSON}
        told = await kept.ask(posted("/api/v2.0/login/accessToken", json.dumps({"x": beside}), fields))
        assert status in told[0], (shown == good, beside == good, told)
    kept.close()
