"""The bounded protocol, on real sockets: a uvicorn server whose application writes down what reached it."""

import asyncio
import contextlib
import json
import random
import socket
import threading
import time
from bisect import bisect_right
from collections import Counter
from itertools import accumulate, pairwise

import httptools
import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn.web.cycle import Head, KnownHeads
from keyturn.web.framing import FramingRefused, ProtocolLimits, read_framing
from keyturn.web.protocol import OVERSIZED, protocol_class
from keyturn.web.underway import REST_SECONDS, ROOM
from keyturn.wire.http import WireResponse

HOST = b"Host: a\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
CHUNKED = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
SHORT = {"head_seconds": 0.2, "body_seconds": 0.2, "idle_seconds": 0.2, "linger_seconds": 0.2}


def post(body, fields=b""):
    """Render a plain POST."""
    return b"POST / HTTP/1.1\r\n%sContent-Length: %d\r\n%s\r\n%s" % (HOST, len(body), fields, body)


class Server:
    """A uvicorn server in a thread, and what reached its application."""

    def __init__(self, limits, loop="asyncio"):
        self.seen = []
        self.refused = Counter()
        self.protocol = protocol_class(limits, lambda why: self.refused.update([why]))
        self.release = threading.Event()
        self.release.set()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.uvicorn = uvicorn.Server(
            uvicorn.Config(
                self.served(), interface="asgi3", http=self.protocol, ws="none", loop=loop,
                lifespan="off", log_config=None, access_log=False, server_header=False, proxy_headers=False,
            )
        )  # fmt: skip
        self.thread = threading.Thread(target=self.uvicorn.run, kwargs={"sockets": [self.socket]})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.release.set()
        self.uvicorn.should_exit = True
        self.thread.join(10)
        assert not self.thread.is_alive()

    def served(self):
        """Give what uvicorn serves."""
        return self.application

    async def application(self, scope, receive, send):
        """Write the request down, wait until released, and answer with the path."""
        message = await receive()
        self.seen.append((scope["method"], scope["path"], message["body"], scope["client"][0]))
        assert not message.get("more_body")
        await asyncio.to_thread(self.release.wait, 10)
        status = 413 if OVERSIZED in scope["state"] else 200
        body = scope["path"].encode()
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(b"content-length", b"%d" % len(body))],
            }
        )
        await send({"type": "http.response.body", "body": body})

    def connect(self):
        """Open a connection."""
        return socket.create_connection(self.socket.getsockname(), timeout=10)

    def exchange(self, *pieces, then_close=False):
        """Send pieces on one connection; return all that comes until the server closes it."""
        with self.connect() as client:
            for piece in pieces:
                with contextlib.suppress(ConnectionError):
                    client.sendall(piece)
            if then_close:
                client.shutdown(socket.SHUT_WR)
            return read_all(client)


def read_all(client):
    """Read until the server closes."""
    answer = b""
    with contextlib.suppress(ConnectionError):
        while data := client.recv(65536):
            answer += data
    return answer


def read_answer(client):
    """Read one answer with a Content-Length."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        data = client.recv(1)
        assert data, answer
        answer += data
    length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while length:
        data = client.recv(length)
        assert data
        length -= len(data)
        answer += data
    return answer


def eventually(condition):
    """Wait until a condition holds."""
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def status_of(answer):
    """Read the status of the first answer."""
    return int(answer[9:12])


def is_generic(answer, error="invalid_request"):
    """Say whether an answer is the one of refusals, with nothing that names our software."""
    head, _, body = answer.partition(b"\r\n\r\n")
    head = head.lower()
    return (
        json.loads(body) == {"error": error}
        and b"content-type: application/json" in head
        and b"cache-control: no-store" in head
        and b"x-content-type-options: nosniff" in head
        and b"connection: close" in head
        and b"server:" not in head
        and b"uvicorn" not in answer.lower()
    )


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def server(request):
    """A server with room for an hour's patience and small limits on sizes."""
    limits = ProtocolLimits(
        head_bytes=4096, url_bytes=512, body_bytes=1000, linger_seconds=0.3, body_chunks=20
    )
    with Server(limits, request.param) as running:
        yield running


@pytest.fixture(autouse=True)
def forget(request):
    """Forget what earlier tests sent."""
    if "server" in request.fixturenames:
        running = request.getfixturevalue("server")
        running.seen.clear()
        running.refused.clear()


@pytest.fixture(params=["asyncio", "uvloop"])
def hasty(request):
    """A server that waits a fifth of a second."""
    with Server(ProtocolLimits(**SHORT), request.param) as running:
        yield running


CLOSING = b"GET /last HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
FIELDS = "POST / HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n0\r\n\r\n"
AMBIGUOUS = {
    "both lengths": FIELDS.format("Content-Length: 5\r\nTransfer-Encoding: chunked"),
    "both lengths, other order": FIELDS.format("Transfer-Encoding: chunked\r\nContent-Length: 5"),
    "two lengths": FIELDS.format("Content-Length: 5\r\nContent-Length: 6"),
    "two equal lengths": FIELDS.format("Content-Length: 5\r\nContent-Length: 5"),
    "signed length": FIELDS.format("Content-Length: +5"),
    "list of lengths": FIELDS.format("Content-Length: 5, 5"),
    "hex length": FIELDS.format("Content-Length: 0x5"),
    "empty length": FIELDS.format("Content-Length:"),
    "underscored length": FIELDS.format("Content-Length: 5_0"),
    "endless length": FIELDS.format("Content-Length: " + "9" * 40),
    "te list": FIELDS.format("Transfer-Encoding: gzip, chunked"),
    "te twice in one": FIELDS.format("Transfer-Encoding: chunked, chunked"),
    "te twice": FIELDS.format("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
    "te identity": FIELDS.format("Transfer-Encoding: identity"),
    "te xchunked": FIELDS.format("Transfer-Encoding: xchunked"),
    "te with parameter": FIELDS.format("Transfer-Encoding: chunked;q=1"),
    "te empty": FIELDS.format("Transfer-Encoding:"),
    "te with vertical tab": FIELDS.format("Transfer-Encoding: \x0bchunked"),
    "te in 1.0": FIELDS.format("Transfer-Encoding: chunked").replace("1.1", "1.0"),
    "obs-fold": FIELDS.format("X: a\r\n b"),
    "obs-fold first": "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "bare LF": "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
    "bare LF after line": "GET / HTTP/1.1\nHost: a\r\n\r\n",
    "bare LF at end": "GET / HTTP/1.1\r\nHost: a\r\n\n",
    "bare LF everywhere": "GET / HTTP/1.1\nHost: a\n\n",
    "leading LF": "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "leading LF after CRLF": "\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "leading CR": "\r\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "bare CR": "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
    "space before colon": "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "no colon": "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
    "no name": "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
    "NUL": "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
    "control character": "GET / HTTP/1.1\r\nHost: a\r\nX: a\x01b\r\n\r\n",
    "DEL": "GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n\r\n",
    "control in upgrade": "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: a\x01b\r\n\r\n",
    "LF in upgrade": "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: a\nX: b\r\n\r\n",
    "CR in upgrade": "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: a\rX: b\r\n\r\n",
    "fold after upgrade": "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: a\r\n b\r\n\r\n",
    "HTTP/2.0": "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "HTTP/1.2": "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
    "HTTP/0.9": "GET /\r\n\r\n",
    "HTTP/0.9 by name": "GET / HTTP/0.9\r\nHost: a\r\n\r\n",
    "http/1.1": "GET / http/1.1\r\nHost: a\r\n\r\n",
    "RTSP": "GET / RTSP/1.0\r\nHost: a\r\n\r\n",
    "HTTP/2 preface": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no Host": "GET / HTTP/1.1\r\n\r\n",
    "two Hosts": "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
    "two Hosts in 1.0": "GET / HTTP/1.0\r\nHost: a\r\nhOsT: b\r\n\r\n",
    "absolute form": "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "authority form": "CONNECT b:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT to a path": "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n",
    "asterisk with GET": "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
    "fragment": "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
    "two spaces": "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "tab in request line": "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "space after version": "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
    "non-ASCII target": "GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n",
    "control in target": "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
    "lower-case method": "get / HTTP/1.1\r\nHost: a\r\n\r\n",
    "unknown method": "FETCH / HTTP/1.1\r\nHost: a\r\n\r\n",
}
BAD_CHUNKS = {
    "no size": "zz\r\n\r\n",
    "space after size": "3 \r\nabc\r\n0\r\n\r\n",
    "negative size": "-3\r\nabc\r\n0\r\n\r\n",
    "0x size": "0x3\r\nabc\r\n0\r\n\r\n",
    "underscored size": "0_3\r\nabc\r\n0\r\n\r\n",
    "endless size": "ffffffffffffffff3\r\nabc\r\n0\r\n\r\n",
    "bare LF after size": "3\nabc\r\n0\r\n\r\n",
    "size too small": "2\r\nabc\r\n0\r\n\r\n",
    "bare LF after data": "3\r\nabc\n0\r\n\r\n",
    "LF in extension": "3;a=\nb\r\nabc\r\n0\r\n\r\n",
    "control in extension": "3;a=\x01\r\nabc\r\n0\r\n\r\n",
    "long extension": "3;a=" + "b" * 300 + "\r\nabc\r\n0\r\n\r\n",
    "long zeros": "0" * 300 + "3\r\nabc\r\n0\r\n\r\n",
    "trailer": "3\r\nabc\r\n0\r\nX: b\r\n\r\n",
    "bare LF at end": "3\r\nabc\r\n0\r\n\n",
    "many chunks": "1\r\na\r\n" * 30 + "0\r\n\r\n",
}


@pytest.mark.parametrize("text", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_ambiguous_head_is_refused(server, text):
    """HT-04: Ambiguous framing gets one generic 400 and a closed connection, and reaches nobody."""
    request = text.encode("latin-1")
    for pieces in ((request + GET,), (request[:7], request[7:-3], request[-3:])):
        server.refused.clear()
        answer = server.exchange(*pieces)
        assert status_of(answer) == 400
        assert is_generic(answer)
        assert server.refused.total() == 1
    assert server.seen == []


@pytest.mark.parametrize("text", BAD_CHUNKS.values(), ids=BAD_CHUNKS.keys())
def test_bad_chunks_are_refused(server, text):
    """HT-04: A malformed chunk, a long extension or a trailer gets 400, closes, and reaches nobody."""
    answer = server.exchange(CHUNKED + text.encode("latin-1") + GET)
    assert status_of(answer) == 400
    assert is_generic(answer)
    assert server.refused.total() == 1
    assert server.seen == []


def test_second_pipelined_head_is_checked_too(server):
    """HT-04: A refused head behind a good request in the same segment never reaches the application."""
    answer = server.exchange(GET + post(b"x") + AMBIGUOUS["both lengths"].encode() + GET)
    assert answer.count(b"HTTP/1.1 200") == 2
    assert answer.count(b"HTTP/1.1 400") == 1
    assert [seen[:3] for seen in server.seen] == [("GET", "/", b""), ("POST", "/", b"x")]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_requests_may_arrive_in_pieces(server, size):
    """HT-04: Requests split at any byte, with empty lines between them, are read as they were sent."""
    chunks = CHUNKED + b"3;a=b\r\nabc\r\n02\r\nde\r\n0\r\n\r\n"
    text = b"\r\n" + post(b"one") + b"\r\n\r\n" + chunks + GET + CLOSING
    with server.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(text), size):
            client.sendall(text[start : start + size])
        answer = read_all(client)
    assert answer.count(b"HTTP/1.1 200") == 4
    assert [seen[1:3] for seen in server.seen] == [("/", b"one"), ("/", b"abcde"), ("/", b""), ("/last", b"")]


def test_many_pipelined_requests_are_answered_in_order(server):
    """HT-04: Requests pipelined in one segment are answered one at a time, each once, in order."""
    text = b"".join(b"GET /%d HTTP/1.1\r\n%s\r\n" % (i, HOST) for i in range(50))
    assert server.exchange(text + CLOSING).count(b"HTTP/1.1 200") == 51
    assert [seen[1] for seen in server.seen] == [*(f"/{i}" for i in range(50)), "/last"]


def test_pipelined_flood_is_held_back():
    """HT-01: What is pipelined stays in the kernel while a request is answered, and is served afterwards."""
    with Server(ProtocolLimits()) as running:
        running.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        running.release.clear()
        with running.connect() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            client.settimeout(0.3)
            sent = 0
            with contextlib.suppress(TimeoutError):
                while sent < 100_000:
                    client.sendall(GET)
                    sent += 1
            assert sent < 100_000
            client.settimeout(10)
            running.release.set()
            answers = b""
            while answers.count(b"HTTP/1.1 200") < sent:
                answers += client.recv(65536)


def test_nothing_is_read_after_connection_close(server):
    """HT-04: What follows a request that closes the connection is not a request."""
    answer = server.exchange(CLOSING + GET)
    assert answer.count(b"HTTP/1.1 200") == 1
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("request_text", "status", "why"),
    [
        (b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % (b"a" * 512), 414, "url_too_long"),
        (b"GET /" + b"a" * 5000, 414, "url_too_long"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n" % (b"a" * 4096), 431, "head_too_large"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 5000, 431, "head_too_large"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 100 + b"\r\n", 431, "head_too_large"),
    ],
    ids=["url", "endless url", "head", "endless head", "lines"],
)
def test_large_heads_are_refused(server, request_text, status, why):
    """HT-01: A target over its limit gets 414 and a header block over its limit 431, before it is parsed."""
    answer = server.exchange(request_text)
    assert status_of(answer) == status
    assert is_generic(answer)
    assert server.refused == {why: 1}
    assert server.seen == []


def test_heads_up_to_the_limits_pass(server):
    """HT-01: A target and a number of lines exactly at their limits are served."""
    fields = b"X: a\r\n" * 98
    text = b"GET /%s HTTP/1.1\r\n%s%sConnection: close\r\n\r\n" % (b"a" * 511, HOST, fields)
    assert status_of(server.exchange(text)) == 200


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (AMBIGUOUS["two equal lengths"], "malformed"),
        (AMBIGUOUS["bare LF everywhere"], "bare_newline"),
        (AMBIGUOUS["absolute form"], "request_line"),
        (AMBIGUOUS["no Host"], "host"),
        (AMBIGUOUS["two Hosts"], "repeated_field"),
        (AMBIGUOUS["te list"], "transfer_encoding"),
        (CHUNKED.decode() + BAD_CHUNKS["long extension"], "chunk"),
        (CHUNKED.decode() + BAD_CHUNKS["trailer"], "trailer"),
    ],
)
def test_refusals_are_counted_by_reason(server, text, why):
    """HT-04: Each refusal is counted once, under its reason."""
    server.exchange(text.encode("latin-1"))
    assert server.refused == {why: 1}


LARGE = {
    "declared": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n",
    "declared, enormous": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999999999\r\n\r\n",
    "one chunk": CHUNKED + b"3e9\r\n",
    "growing": CHUNKED + b"1f4\r\n%s\r\n1f5\r\n" % (b"a" * 500),
}


@pytest.mark.parametrize("text", LARGE.values(), ids=LARGE.keys())
def test_large_bodies_are_answered_by_the_application(server, text):
    """HT-01: A body over the limit gets 413 from the application, which sees an empty body and a mark."""
    for pieces in ((text,), (text + GET * 40,), (text, b"x" * 200_000, GET)):
        server.seen.clear()
        answer = server.exchange(*pieces)
        assert status_of(answer) == 413
        assert b"connection: close" in answer
        assert answer.count(b"HTTP/1.1") == 1
        assert [seen[2] for seen in server.seen] == [b""]


@pytest.mark.parametrize("text", LARGE.values(), ids=LARGE.keys())
def test_nothing_is_read_after_413(server, text):
    """HT-04: What comes after an early answer may be the rest of a body, and is never read as a request."""
    with server.connect() as client:
        client.sendall(text)
        assert status_of(read_all(client)) == 413
        with contextlib.suppress(ConnectionError):
            client.sendall(GET)
        eventually(lambda: server.protocol.shared.total == 0)
    assert len(server.seen) == 1
    assert server.refused == {}


def test_body_up_to_the_limit_passes(server):
    """HT-01: A body exactly at the limit, declared or chunked, is served."""
    body = b"a" * 1000
    chunked = CHUNKED + b"3e8\r\n" + body + b"\r\n0\r\n\r\n"
    assert server.exchange(post(body) + chunked + CLOSING).count(b"HTTP/1.1 200") == 3
    assert [seen[2] for seen in server.seen] == [body, body, b""]


def test_expect_is_answered_when_the_body_is_welcome(server):
    """HT-01: A client that asks first is told to go on, once."""
    head, body = post(b"abc", b"Expect: 100-continue\r\nConnection: close\r\n").split(b"\r\n\r\n")
    with server.connect() as client:
        client.sendall(head + b"\r\n\r\n")
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        answer = read_all(client)
    assert status_of(answer) == 200
    assert b"100 Continue" not in answer


@pytest.mark.parametrize(("version", "length"), [(b"1.1", 1001), (b"1.0", 3), (b"1.1", 0)])
def test_expect_is_not_answered_in_vain(server, version, length):
    """HT-01: No 100 precedes a 413, an answer to HTTP/1.0, or an answer to a request without a body."""
    head = b"POST / HTTP/%s\r\nHost: a\r\nExpect: 100-continue\r\n" % version
    with server.connect() as client:
        client.sendall(head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % length)
        time.sleep(0.05)
        client.sendall(b"x" * length)
        assert status_of(read_all(client)) == (413 if length > 1000 else 200)


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c", b"TLS/1.0, nonsense"])
@pytest.mark.parametrize("size", [1, 1000])
def test_upgrades_are_plain_requests(server, protocol, size):
    """HT-04: A wish to upgrade is ignored: the body belongs to the request and the next request is read."""
    fields = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: %s\r\nHTTP2-Settings: AA\r\n" % protocol
    text = post(b"abc", fields) + CLOSING
    answer = server.exchange(*(text[i : i + size] for i in range(0, len(text), size)))
    assert answer.count(b"HTTP/1.1 200") == 2
    assert [seen[:3] for seen in server.seen] == [("POST", "/", b"abc"), ("GET", "/last", b"")]


def test_old_and_bodiless_requests_work(server):
    """HT-04: HTTP/1.0 without Host, HEAD and OPTIONS of the server are served; HTTP/1.0 is closed after."""
    assert status_of(server.exchange(b"GET / HTTP/1.0\r\n\r\n" + GET)) == 200
    assert server.exchange(GET.replace(b"GET", b"HEAD") + CLOSING).count(b"HTTP/1.1 200") == 2
    assert status_of(server.exchange(b"OPTIONS * HTTP/1.0\r\n\r\n")) == 200
    assert [seen[0] for seen in server.seen] == ["GET", "HEAD", "GET", "OPTIONS"]


def test_address_is_the_socket_s(server):
    """HT-03: No header changes the address the application sees."""
    text = CLOSING.replace(b"Host", b"X-Forwarded-For: 8.8.8.8\r\nForwarded: for=8.8.8.8\r\nHost")
    answer = server.exchange(text)
    assert server.seen[0][3] == "127.0.0.1"
    assert b"\r\nserver:" not in answer.lower()


@pytest.mark.parametrize(
    ("pieces", "status", "why"),
    [
        ((), None, None),
        ((GET,), 200, None),
        ((b"\r\n",), None, None),
        ((b"GET / HTTP/1.1\r\nHos",), 408, "head_timeout"),
        ((GET + b"G",), 200, "head_timeout"),
        ((post(b"abc")[:-1],), 408, "body_timeout"),
        ((CHUNKED,), 408, "body_timeout"),
        ((CHUNKED + b"3\r\nab",), 408, "body_timeout"),
        ((CHUNKED + b"0\r\n\r",), 408, "body_timeout"),
    ],
    ids=["nothing", "idle", "empty lines", "head", "second head", "body", "chunks", "chunk", "last chunk"],
)
def test_slow_clients_are_sent_away(hasty, pieces, status, why):
    """HT-05: A request that does not arrive in time gets 408, and an idle connection is closed."""
    answer = hasty.exchange(*pieces)
    assert (status_of(answer) if answer else None) == status
    assert hasty.refused == ({why: 1} if why else {})
    if why:
        assert is_generic(answer[answer.rindex(b"HTTP/1.1 408") :])
    assert len(hasty.seen) == (status == 200)


def test_who_is_sent_away_and_stays_loses_the_place(hasty):
    """HT-05: A client that keeps its side open after its time was up holds no place for that."""
    with contextlib.ExitStack() as stay:
        for piece in (b"", GET, b"GET / HTTP/1.1\r\nHos", post(b"abc")[:-1]):
            stay.enter_context(hasty.connect()).sendall(piece)
        eventually(lambda: hasty.protocol.shared.total == 4)
        eventually(lambda: hasty.protocol.shared.total == 0)


def test_deadline_is_not_moved_by_single_bytes(hasty):
    """HT-05: A client that sends a byte now and then does not win time."""
    with hasty.connect() as client, contextlib.suppress(ConnectionError):
        for byte in b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: aaaaaa\r\n" * 20:
            client.sendall(bytes([byte]))
            time.sleep(0.01)
            if hasty.refused:
                break
        else:
            pytest.fail("two hundred bytes later the head is still awaited")
        assert status_of(read_all(client)) == 408
    assert hasty.refused == {"head_timeout": 1}


def test_each_head_has_its_own_deadline():
    """HT-05: The idle limit, however long, does not apply to a request that has begun."""
    with Server(ProtocolLimits(**{**SHORT, "idle_seconds": 60})) as running:
        answer = running.exchange(GET + b"G")
        assert answer.count(b"HTTP/1.1 408") == 1


def test_slow_application_is_not_hurried(hasty):
    """HT-05: No deadline of ours ends a request that has arrived, however long its answer takes."""
    hasty.release.clear()
    with hasty.connect() as client:
        client.sendall(GET)
        time.sleep(0.6)
        hasty.release.set()
        assert status_of(read_answer(client)) == 200


def test_keep_alive_outlives_the_deadlines_of_a_request(hasty):
    """HT-05: Each request has deadlines of its own on a connection that is kept open."""
    with hasty.connect() as client:
        for _ in range(6):
            text = post(b"abc")
            client.sendall(text[:10])
            time.sleep(0.03)
            client.sendall(text[10:-2])
            time.sleep(0.03)
            client.sendall(text[-2:])
            assert status_of(read_answer(client)) == 200


def test_client_that_never_reads_is_let_go():
    """HT-05: A client that does not take its answer loses its connection, and the task ends."""
    ended = threading.Event()

    class Large(Server):
        async def application(self, scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            with contextlib.suppress(OSError):
                for _ in range(200):
                    await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            ended.set()

    with Large(ProtocolLimits(**SHORT)) as running, running.connect() as client:
        client.sendall(GET)
        assert ended.wait(10)
        eventually(lambda: running.protocol.shared.total == 0)


def test_one_address_cannot_take_every_place():
    """HT-05: Over the cap a connection gets 503 with Retry-After; a freed place is given again."""
    with Server(ProtocolLimits(connections_per_address=2)) as running:
        shared = running.protocol.shared
        held = [running.connect(), running.connect()]
        eventually(lambda: shared.total == 2)
        answer = running.exchange()
        assert status_of(answer) == 503
        assert b"Retry-After: 1\r\n" in answer
        assert is_generic(answer, "temporarily_unavailable")
        assert running.refused == {"address_full": 1}
        eventually(lambda: len(running.uvicorn.server_state.connections) == 2)
        assert shared.total == 2
        held.pop().close()
        eventually(lambda: shared.total == 1)
        assert status_of(running.exchange(CLOSING)) == 200
        held.pop().close()
        eventually(lambda: shared.total == 0)
        assert shared.held == {}


def test_total_is_capped():
    """HT-05: The number of connections has a cap whatever their addresses."""
    with Server(ProtocolLimits(connections=1)) as running, running.connect():
        eventually(lambda: running.protocol.shared.total == 1)
        assert status_of(running.exchange()) == 503
        assert running.refused == {"server_full": 1}


def test_places_come_back_after_every_kind_of_end(server):
    """HT-05: Refused, reset, oversized and finished connections leave no entry in the table."""
    for text in (GET, b"GE", CHUNKED, b"\n", LARGE["declared"], post(b"abc")[:-1]):
        with server.connect() as client:
            client.sendall(text)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    eventually(lambda: server.protocol.shared.total == 0)
    assert server.protocol.shared.held == {}


def test_150_slow_clients_slow_nobody(server):
    """HT-05: While 150 clients hold half a request, others are answered."""
    with contextlib.ExitStack() as slow:
        for _ in range(150):
            slow.enter_context(server.connect()).sendall(
                b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\na"
            )
        started = time.monotonic()
        assert status_of(server.exchange(CLOSING)) == 200
        assert time.monotonic() - started < 2


def test_shutdown_finishes_what_runs_and_closes_what_waits():
    """HT-08: On shutdown idle connections are closed and a running request is answered and closed."""
    with Server(ProtocolLimits()) as running:
        running.release.clear()
        with running.connect() as idle, running.connect() as busy, running.connect() as half:
            busy.sendall(GET + GET)
            half.sendall(b"GET / HT")
            eventually(lambda: running.protocol.shared.total == 3 and running.seen)
            running.uvicorn.should_exit = True
            assert read_all(idle) == b""
            assert read_all(half).startswith(b"HTTP/1.1 408 ")
            running.release.set()
            answer = read_all(busy)
        assert answer.count(b"HTTP/1.1 200") == 1
        assert b"connection: close" in answer
        running.thread.join(10)
        assert len(running.seen) == 1


REQUESTS = [
    (GET, [b""]),
    (post(b"abc"), [b"abc"]),
    (post(b"", b"X: y\r\nUpgrade: h2c\r\nConnection: upgrade\r\n"), [b""]),
    (CHUNKED + b"3\r\nabc\r\n0\r\n\r\n" + post(b"defg"), [b"abc", b"defg"]),
    *((text.encode("latin-1"), []) for text in AMBIGUOUS.values()),
    *((CHUNKED + text.encode("latin-1"), []) for text in BAD_CHUNKS.values()),
]


@pytest.fixture(scope="module")
def impatient():
    """A server that waits a third of a second."""
    limits = ProtocolLimits(
        head_seconds=0.3, body_seconds=0.3, idle_seconds=0.1, linger_seconds=0.1, body_chunks=20
    )
    with Server(limits) as running:
        yield running


@settings(max_examples=100)
@given(
    request=st.sampled_from(REQUESTS),
    cuts=st.lists(st.integers(0, 200), max_size=5),
    changes=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 3), st.binary(max_size=3)), max_size=3),
)
def test_no_bytes_crash_hang_or_invent(impatient, request, cuts, changes):
    """HT-04: However a request is cut or changed, there is no fault and no hang, and no body is invented."""
    text, bodies = request
    impatient.seen.clear()
    for where, length, replacement in changes:
        at = where % (len(text) + 1)
        text = text[:at] + replacement + text[at + length :]
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    answer = impatient.exchange(*(text[a:b] for a, b in pairwise(places)))
    assert all(
        part[:3] in (b"200", b"400", b"408", b"413", b"414", b"431")
        for part in answer.split(b"HTTP/1.1 ")[1:]
    )
    seen = [body for _, _, body, _ in impatient.seen]
    assert all(body in text for body in seen)
    if not changes:
        assert seen == bodies


NAMES = st.sampled_from([b"host", b"content-length", b"transfer-encoding", b"x"])
VALUES = st.sampled_from([b"5", b"chunked", b"5 ", b""]) | st.binary(max_size=30)


@given(version=st.sampled_from(["1.0", "1.1"]), headers=st.lists(st.tuples(NAMES, VALUES), max_size=5))
def test_framing_is_one_thing_or_refused(version, headers):
    """HT-04: Without help from llhttp, a head passes only if each framing field says one plain thing."""
    try:
        length = read_framing(version, headers, ProtocolLimits())
    except FramingRefused:
        return
    framing = [
        value.strip(b" \t") for name, value in headers if name in (b"content-length", b"transfer-encoding")
    ]
    assert len(framing) <= 1
    assert [name for name, _ in headers].count(b"host") <= 1
    if length > 0:
        assert framing[0].isdigit()
        assert int(framing[0]) == length
    elif length < 0:
        assert framing[0].lower() == b"chunked"


class Answering(Server):
    """A server whose application is handed whole requests, as the desk is."""

    def served(self):
        """Offer ``answer`` beside ASGI."""
        return self

    async def __call__(self, scope, receive, send):
        """Be no ASGI application: whoever offers ``answer`` is asked by it."""
        raise AssertionError(scope)

    failing = False

    async def answer(self, head, body, oversized):
        """Write the request down, wait until released, answer with path and query; fail where it says so."""
        self.seen.append((head.method, head.path, head.query, body, head.client[0]))
        if not self.release.is_set():
            await asyncio.to_thread(self.release.wait, 10)
        if head.path == b"/fail" or self.failing:
            raise RuntimeError
        status = 413 if oversized else 200
        text = head.path + b"?" + head.query
        return b"an-id", WireResponse(status, text, ((b"content-type", b"text/plain"),))


@pytest.fixture(scope="module")
def answering():
    """Run one server with an application that is handed whole requests."""
    with Answering(ProtocolLimits()) as running:
        yield running


def test_whole_requests_are_answered():
    """Path, query, body and address reach ``answer``; its id, headers and body come back; then the next."""
    with Answering(ProtocolLimits()) as server:
        last = GET.replace(b" / ", b" /a%20b?c=%3F?d ").replace(HOST, HOST + b"Connection: close\r\n")
        answers = server.exchange(post(b"x=1"), CHUNKED + b"3\r\nabc\r\n0\r\n\r\n", last)
        assert answers.count(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n") == 3
        assert answers.count(b"x-request-id: an-id\r\n") == 3
        assert answers.count(b"connection: close\r\n") == 1
        assert answers.endswith(b"\r\n\r\n/a%20b?c=%3F?d")
        assert server.seen == [
            ("POST", b"/", b"", b"x=1", "127.0.0.1"),
            ("POST", b"/", b"", b"abc", "127.0.0.1"),
            ("GET", b"/a%20b", b"c=%3F?d", b"", "127.0.0.1"),
        ]
        assert not server.uvicorn.server_state.tasks


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("kind", [Server, Answering])
def test_what_comes_behind_the_last_request_costs_no_answer(kind, loop):
    """HT-04: bytes behind a request that closes are thrown away; closing over them would reset the answer."""
    with kind(ProtocolLimits(linger_seconds=10), loop) as server, server.connect() as client:
        server.release.clear()
        client.sendall(CLOSING + GET)
        eventually(lambda: server.seen)
        client.settimeout(0.1)
        with contextlib.suppress(TimeoutError):  # until reading has paused and the kernel holds what it can
            while True:
                client.send(GET * 10_000)
        client.settimeout(10)
        server.release.set()
        assert status_of(read_answer(client)) == 200
        assert client.recv(1) == b""  # and no ConnectionResetError
        assert len(server.seen) == 1


def test_too_many_at_once_are_turned_away():
    """RE-10: without room a POST is 503 with Retry-After, is not heard at once again; GET is served."""
    with Answering(ProtocolLimits()) as server:
        taken = server.protocol.shared.underway
        for _ in range(ROOM):
            taken.lets_in("POST")
        with server.connect() as client:
            client.sendall(post(b"x=1") * 3)
            began = time.monotonic()
            for _ in range(3):
                refused = read_answer(client)
                assert status_of(refused) == 503
                assert b"Retry-After: 1\r\n" in refused
                assert b"Connection: close" not in refused
            assert time.monotonic() - began >= 2 * REST_SECONDS
            client.sendall(GET)
            assert status_of(read_answer(client)) == 200
            taken.leave(0.0)
            client.sendall(post(b"x=1"))
            assert status_of(read_answer(client)) == 200
        assert server.refused == {"overloaded": 3}
        taken.lets_in("POST")
        closed = server.exchange(post(b"x=1", b"Connection: close\r\n"))
        assert status_of(closed) == 503
        assert is_generic(closed, "temporarily_unavailable")


def test_too_much_at_a_bad_time_reads_its_answer():
    """HT-04: who is turned away before the body that is too large has come reads why; it was reset away."""
    with Answering(ProtocolLimits(body_bytes=10, linger_seconds=10)) as server, server.connect() as client:
        for _ in range(ROOM):
            server.protocol.shared.underway.lets_in("POST")
        head, _, body = post(b"x" * 100_000).partition(b"\r\n\r\n")
        client.sendall(head + b"\r\n\r\n")
        eventually(lambda: server.refused)
        for _ in range(2):  # where the connection is closed, the first of it brings the reset
            client.sendall(body[:50_000])
            time.sleep(0.05)
        assert status_of(read_answer(client)) == 503
        assert client.recv(1) == b""


def test_who_rests_is_heard_before_the_end():
    """RE-03: what a refused caller sent before a server stops has an answer; then its connection ends."""
    with Answering(ProtocolLimits()) as server:
        taken = server.protocol.shared.underway
        for _ in range(ROOM):
            taken.lets_in("POST")
        with server.connect() as client, server.connect() as silent:
            for each in (client, silent):
                each.sendall(post(b"x=1"))
                assert status_of(read_answer(each)) == 503
            client.sendall(GET)
            server.uvicorn.should_exit = True
            assert status_of(read_all(client)) == 200
            assert read_all(silent) == b""
        server.thread.join(5)
        assert not server.thread.is_alive()


def test_whole_requests_keep_the_connection_rules():
    """HEAD has no body, HTTP/1.0 is closed after, 100 is said to who waits, too much is 413, failure 500."""
    with Answering(ProtocolLimits(body_bytes=10, linger_seconds=0.2, idle_seconds=0.5)) as server:
        head = server.exchange(b"HEAD /q HTTP/1.0\r\n\r\n")
        assert b"content-length: 3\r\n" in head
        assert head.endswith(b"\r\n\r\n")
        assert status_of(server.exchange(post(b"x" * 11))) == 413
        failed = server.exchange(GET.replace(b" / ", b" /fail "))
        assert status_of(failed) == 500
        assert b"connection: close\r\n" in failed
        with server.connect() as client:
            request = post(b"0123456789", b"Expect: 100-Continue\r\n")
            client.sendall(request[:-10])
            assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.sendall(request[-10:])
            assert status_of(read_answer(client)) == 200


REPEATED = (
    post(b"x=1"),
    post(b"x=2"),
    post(b"longer=1"),
    post(b"", b"X-Other: 1\r\n"),
    GET,
    CHUNKED + b"3\r\nabc\r\n0\r\n\r\n",
    b"\r\n" + GET,
)
"""Requests that a connection may repeat; some share a head, some have one that nobody can keep."""


def asked_by(request):
    """Say what an application is to see of a repeated request."""
    method, _, _ = request.lstrip().partition(b" ")
    body = b"abc" if request.startswith(CHUNKED) else request.rpartition(b"\r\n\r\n")[2]
    return (method.decode(), b"/", b"", body, "127.0.0.1")


def test_known_heads_change_nothing(answering):
    """HT-04: Requests that repeat each other's heads are seen as sent, however the stream is cut."""
    dice = random.Random(5)  # noqa: S311  # a test repeats itself
    for _ in range(40):
        sent = dice.choices(REPEATED, k=dice.randint(2, 8))
        stream = b"".join(sent)
        ends = list(accumulate(map(len, sent)))
        cuts = sorted({*dice.choices(ends, k=3), *dice.choices(range(1, len(stream)), k=dice.randint(0, 2))})
        answering.seen.clear()
        with answering.connect() as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for begin, end in pairwise([0, *cuts, len(stream)]):
                client.sendall(stream[begin:end])
                for _ in range(bisect_right(ends, end) - bisect_right(ends, begin)):
                    assert status_of(read_answer(client)) == 200
        assert answering.seen == [asked_by(request) for request in sent]


def test_a_known_head_excuses_no_other(answering):
    """HT-04: After requests whose head was known, one that is cut, long or malformed is judged as ever."""
    for hostile in (GET.replace(HOST, b""), post(b"x=1").replace(b"Host", b"Host "), post(b"x=1")[:-1] + GET):
        with answering.connect() as client:
            for _ in range(3):
                client.sendall(post(b"x=1"))
                assert status_of(read_answer(client)) == 200
            answering.seen.clear()
            client.sendall(hostile)
            answer = read_all(client)
        assert status_of(answer) == (200 if answering.seen else 400)
        assert [body for *_, body, _ in answering.seen] in ([], [b"x=G"])
        assert answer.count(b"HTTP/1.1 400") == 1


class AtOnce(Answering):
    """A server whose application lets whatever comes behind a head it has seen be begun at once."""

    async def answer(self, head, body, oversized):
        """Answer like any other; wait, inside and outside of a task, where the path says so."""
        head.at_once = True
        self.tasks.append(asyncio.current_task())
        if b"wait" in head.path:
            rung = asyncio.Event()  # not ``asyncio.wait_for``: from 3.12 on that wants a task
            asyncio.get_running_loop().call_later(0.01, rung.set)
            await rung.wait()
            async with asyncio.timeout(5):  # in a task by now
                await asyncio.sleep(0)
        self.inside.append(len(self.uvicorn.server_state.tasks))
        return await super().answer(head, body, oversized)

    def __init__(self, limits):
        """Begin with nothing seen."""
        super().__init__(limits)
        self.tasks, self.inside = [], []


def test_what_is_begun_at_once_is_answered_like_any_other():
    """Behind a known head a request needs no task until it waits; then it has one, which a stop waits for."""
    with AtOnce(ProtocolLimits()) as server, server.connect() as client:
        for path in (b"/", b"/wait", b"/"):
            for body in (b"a", b"b", b"c"):
                client.sendall(post(body).replace(b" / ", b" %s " % path))
                assert read_answer(client).endswith(b"\r\n\r\n%s?" % path)
        assert [seen[3] for seen in server.seen] == [b"a", b"b", b"c"] * 3
        assert [task is None for task in server.tasks] == [False, *[True] * 2] * 2 + [True] * 3
        assert server.inside == [1, 0, 0, 1, 1, 1, 0, 0, 0]
        assert not server.uvicorn.server_state.tasks
        failing = post(b"").replace(b" / ", b" /fail ")
        client.sendall(failing)
        assert status_of(read_all(client)) == 500


def test_what_comes_after_the_goodbye_is_not_begun():
    """RE-03, HT-05: a request that comes after we closed an idle connection has no effect."""
    limits = ProtocolLimits(idle_seconds=0.1, linger_seconds=10)
    with Answering(limits) as server, server.connect() as client:
        client.sendall(post(b"first"))
        read_answer(client)
        assert client.recv(1) == b""  # idle for too long: we have said that nothing more will be answered
        client.sendall(post(b"again"))
        time.sleep(0.1)  # nothing is to happen, so there is nothing to wait for
        assert [body for *_, body, _ in server.seen] == [b"first"]


def test_what_fails_at_once_is_answered():
    """A fault behind a known head is 500 and closes, also where it comes after waiting."""
    for path in (b"/fail", b"/wait/fail"):
        with AtOnce(ProtocolLimits()) as server, server.connect() as client:
            good = post(b"").replace(b" / ", b" %s " % path.replace(b"fail", b"fall"))
            client.sendall(good)
            read_answer(client)
            server.failing = True
            client.sendall(good)
            answer = read_all(client)
            assert status_of(answer) == 500
            assert b"connection: close" in answer
            assert not server.uvicorn.server_state.tasks


def test_known_heads_take_little_memory():
    """RE-10: A connection keeps four short heads or one long one, so that ten thousand fit into memory."""
    for size, kept in ((900, 4), (1500, 2), (3000, 1), (5000, 0)):
        known = KnownHeads()
        heads = [GET.replace(b"a\r\n", b"a%d\r\nX: %s\r\n" % (each, b"x" * size)) for each in range(9)]
        most = 0
        for raw in heads:
            known.keep(bytearray(raw), Head("GET", b"/", [], None), 0)
            most = max(most, sum(known.begin(each, None) is not None for each in heads))
        assert most == kept


@given(st.text(alphabet=[chr(code) for code in range(0x21, 0x7F) if code != ord("#")], max_size=40))
def test_target_is_split_as_llhttp_splits_it(text):
    """Whatever target the request line may have, path and query are those of llhttp's own reader."""
    target = b"/" + text.encode()
    told = httptools.parse_url(target)
    head = Head("GET", target, [], None)
    assert (head.path, head.query) == (told.path, told.query or b"")
