"""Hostile HTTP on raw sockets, against the real server with its shipped limits: HT-01 to HT-05."""

import contextlib
import json
import random
import re
import select
import statistics
import time

import jwt
import pytest

from e2e.raw import connect, hear, post, say
from e2e.servers import FORM, SOON_SECONDS, Caller, ask, error_of, within

TOKEN = "/o/acme/oauth2/token"
GET = b"GET /o/acme/.well-known/jwks.json HTTP/1.1\r\nHost: keyturn\r\n"
KIB = 1024


def good(demo, *lines, dialect="oauth2", **changes):
    """Write a request for a token that is good but for what is changed."""
    client = demo.client(dialect)
    return post(client.path, client.form().encode(), *lines, **changes)


def test_the_plain_request_is_good(demo):
    """The request that the other tests of this file spoil gets a token as it is."""
    heard = say(demo.url, good(demo))
    assert heard.status == 200
    assert heard.json["access_token"]


# --- HT-01: sizes ---


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit(demo, dialect, chunked):
    """HT-01: a body of 65 KiB is 413 in the dialect's own format, declared or chunked."""
    client = demo.client(dialect)
    body = client.form().encode() + b"&x=" + b"y" * 65 * KIB
    if chunked:
        body = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (body[:40_000], body[40_000:])) + b"0\r\n\r\n"
    lines = [b"Transfer-Encoding: chunked"] if chunked else []
    heard = say(demo.url, post(client.path, body, *lines))
    assert heard.status == 413
    answer = heard.json
    assert (answer["error"] == "invalid_request") if dialect == "oauth2" else answer["is_error"] is True
    assert heard.headers["cache-control"] == "no-store"


def test_a_body_just_under_the_limit(demo, dialect):
    """HT-01: a body of nearly 64 KiB is read and judged by its fields."""
    client = demo.client(dialect)
    body = client.form().encode()
    pad = b"".join(b"&x%d=%s" % (number, b"y" * 8_000) for number in range(8))[: 64 * KIB - len(body)]
    assert say(demo.url, post(client.path, body + pad)).status == 200


def test_a_declared_length_is_believed_at_once(demo, dialect):
    """HT-01: who declares too much is told before a byte of the body is sent."""
    client = demo.client(dialect)
    head = post(client.path, b"", b"Content-Length: 99999999", b"Expect: 100-continue")
    heard = say(demo.url, head)
    assert heard.status == 413


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (GET.replace(b"jwks.json", b"jwks.json?" + b"a" * 9 * KIB) + b"\r\n", 414),
        (b"GET /" + b"a" * 40 * KIB + b" HTTP/1.1\r\nHost: keyturn\r\n\r\n", 414),
        (GET + b"X-Long: " + b"a" * 33 * KIB + b"\r\n\r\n", 431),
        (GET + b"".join(b"X-%d: y\r\n" % n for n in range(200)) + b"\r\n", 431),
        (GET + b"X-Endless: " + b"a" * 40 * KIB, 431),
    ],
)
def test_a_head_over_the_limit(demo, request_bytes, status):
    """HT-01: a target over 8 KiB is 414, and headers over 32 KiB or too many are 431."""
    heard = say(demo.url, request_bytes)
    assert heard.status == status
    assert heard.closed


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("x", "y" * 9 * KIB),
        ("client_secret", "y" * 9 * KIB),
        ("client_id", "y" * 9 * KIB),
        ("scope", "a" * 5 * KIB),
        ("scope", " ".join(f"s{n}" for n in range(101))),
    ],
)
def test_fields_over_the_limit(demo, caller, dialect, field, value):
    """HT-01: a field over 8 KiB, and a scope over 4 KiB or of over 100 items, is refused with 400."""
    answer = demo.client(dialect).post(caller, **{field: value})
    assert answer.status == 400
    error_of(dialect, answer)


def test_too_many_fields(demo, caller, dialect):
    """HT-01: a form of over 100 fields is refused with 400."""
    client = demo.client(dialect)
    body = client.form() + "".join(f"&f{number}=" for number in range(100))
    answer = caller.ask("POST", client.path, body, {"Content-Type": FORM})
    assert answer.status == 400
    error_of(dialect, answer)


@pytest.mark.parametrize(
    "value",
    ["[" * 33 + "]" * 33, '{"a":' * 5_000 + "1" + "}" * 5_000, "1" * 21, "-" + "9" * 4_000, "1e99999"],
)
def test_json_over_the_limit(demo, caller, value):
    """HT-01: JSON deeper than 32 or with numbers over 20 digits is refused with 400."""
    client = demo.client("endorsed")
    body = f'{{"client_id": "{client.client_id}", "client_secret": "{client.client_secret}", "x": {value}}}'
    answer = caller.ask("POST", client.path, body, {"Content-Type": "application/json"})
    assert answer.status == 400
    error_of("endorsed", answer)


@pytest.mark.parametrize("bad", [b"%ff", b"%00", b"%0d%0a", b"\xff", b"%ed%a0%80", b"\x00"])
def test_values_that_are_no_text(demo, dialect, bad):
    """HT-02: invalid UTF-8, NUL, lone surrogates and line breaks in a value are 400."""
    client = demo.client(dialect)
    for field in (b"client_id", b"scope", b"grant_type"):
        body = b"client_id=x&client_secret=y&grant_type=z&scope=r".replace(field + b"=", field + b"=" + bad)
        heard = say(demo.url, post(client.path, body))
        assert heard.status == 400, (field, bad)


# --- HT-03 ---


@pytest.mark.parametrize("host", [b"Host: evil.example", b"Host: evil.example:1", b"Host: 127.0.0.1@evil"])
def test_somebody_elses_host(demo, host):
    """HT-03: a foreign Host, Forwarded and X-Forwarded-* change neither issuer nor links."""
    forwarded = [
        b"X-Forwarded-Host: evil.example",
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-Prefix: /evil",
        b"Forwarded: host=evil.example;proto=https;for=192.0.2.1",
        b"X-Original-Host: evil.example",
    ]
    heard = say(demo.url, good(demo, *forwarded, host=host))
    assert heard.status == 200
    issuer = demo.demo()["dialects"]["oauth2"]["issuer"]
    claims = jwt.decode(heard.json["access_token"], options={"verify_signature": False})
    assert claims["iss"] == issuer
    line = b"GET /o/acme/.well-known/openid-configuration HTTP/1.1\r\nConnection: close\r\n"
    answer = say(demo.url, line + host + b"\r\n" + b"\r\n".join(forwarded) + b"\r\n\r\n")
    assert answer.json["issuer"] == issuer
    assert b"evil" not in answer.content


# --- HT-04: framing ---

CHUNKED = b"Transfer-Encoding: chunked"


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        ([b"Content-Length: 5", CHUNKED], b"0\r\n\r\n"),
        ([CHUNKED, b"Content-Length: 5"], b"0\r\n\r\n"),
        ([b"Content-Length: 5", b"Content-Length: 5"], b"abcde"),
        ([b"Content-Length: 5", b"Content-Length: 6"], b"abcdef"),
        ([b"Content-Length: 5, 5"], b"abcde"),
        ([b"Content-Length: +5"], b"abcde"),
        ([b"Content-Length: -5"], b"abcde"),
        ([b"Content-Length: 0x5"], b"abcde"),
        ([b"Content-Length: 5 5"], b"abcde"),
        ([b"Content-Length:"], b""),
        ([b"Content-Length: 99999999999999999999999"], b""),
        ([b"Transfer-Encoding: gzip, chunked"], b"0\r\n\r\n"),
        ([b"Transfer-Encoding: chunked, identity"], b"0\r\n\r\n"),
        ([b"Transfer-Encoding: xchunked"], b"0\r\n\r\n"),
        ([b"Transfer-Encoding : chunked"], b"0\r\n\r\n"),
        ([b"Transfer-Encoding: \x0bchunked"], b"0\r\n\r\n"),
        ([CHUNKED, CHUNKED], b"0\r\n\r\n"),
        ([b"Transfer-Encoding:\r\n chunked"], b"0\r\n\r\n"),
        ([b"X-Folded: a\r\n b"], b""),
        ([b" X-Space: a"], b""),
        ([b"X Space: a"], b""),
        ([b"X-Nul: a\x00b"], b""),
        ([b"X-Bare: a\rb"], b""),
        ([b"X-Bare: a\nX-Next: b"], b""),
        ([b"no colon"], b""),
        ([b": no name"], b""),
        ([CHUNKED], b"5\nabcde\r\n0\r\n\r\n"),
        ([CHUNKED], b"-5\r\nabcde\r\n0\r\n\r\n"),
        ([CHUNKED], b"0x5\r\nabcde\r\n0\r\n\r\n"),
        ([CHUNKED], b"5\r\nabcdefg\r\n0\r\n\r\n"),
        ([CHUNKED], b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
        ([CHUNKED], b"0\r\nX-Trailer: a\r\n\r\n"),
    ],
)
def test_ambiguous_framing(demo, lines, body):
    """HT-04: framing that two readers could understand in two ways is 400, once, and closes."""
    smuggled = GET + b"\r\n"
    heard = say(demo.url, post(TOKEN, body, *lines) + smuggled)
    assert heard.statuses == [400], heard.content
    assert heard.closed
    assert b'"keys"' not in heard.content


@pytest.mark.parametrize("hosts", [[], [b"Host: a", b"Host: a"], [b"Host: a", b"Host: b"]])
def test_no_host_or_two(demo, hosts):
    """HT-04: a request without Host or with two is 400 (RFC 9112 section 3.2)."""
    heard = say(demo.url, b"\r\n".join([b"GET / HTTP/1.1", *hosts]) + b"\r\n\r\n")
    assert heard.status == 400
    assert heard.closed


def test_bare_line_feeds(demo):
    """HT-04: a whole request with bare line feeds is 400."""
    heard = say(demo.url, (GET + b"\r\n").replace(b"\r\n", b"\n"))
    assert heard.status == 400
    assert heard.closed


@pytest.mark.parametrize(
    "line",
    [
        b"TRACE / HTTP/1.1",
        b"TRACE /o/acme/oauth2/token HTTP/1.1",
        b"CONNECT evil.example:443 HTTP/1.1",
        b"GET http://evil.example/o/acme/.well-known/jwks.json HTTP/1.1",
        b"GET o/acme/.well-known/jwks.json HTTP/1.1",
        b"GET  / HTTP/1.1",
        b"GET / HTTP/2.0",
        b"GET / HTTP/1.2",
        b"GET /",
        b"get / HTTP/1.1",
        b"GET /\x80 HTTP/1.1",
        b"GET /# HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_odd_request_lines(demo, line):
    """HT-04: odd methods, targets and versions, and TLS to a plain port, reach nothing."""
    heard = say(demo.url, line + b"\r\nHost: keyturn\r\nConnection: close\r\n\r\n")
    assert heard.statuses in ([400], [404], [405]), heard.content
    assert b"keyturn" not in heard.content
    assert b'"keys"' not in heard.content


def test_an_upgrade_is_ignored(demo):
    """HT-04: a wish to upgrade to WebSocket or HTTP/2 changes nothing for the request."""
    for wish in (b"websocket", b"h2c"):
        lines = [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: " + wish, b"HTTP2-Settings: AAMAAABk"]
        client = demo.client("oauth2")
        request = post(TOKEN, client.form().encode(), *lines).replace(b"Connection: close\r\n", b"")
        heard = say(demo.url, request, seconds=1.0)
        assert heard.status == 200


def test_pipelined_requests(demo):
    """Requests that are sent in one piece are answered one after the other, each by itself."""
    heard = say(demo.url, (GET + b"\r\n") * 3 + good(demo))
    assert heard.statuses == [200, 200, 200, 200]
    assert heard.closed


def test_one_byte_at_a_time(demo):
    """A request that arrives in small pieces is the same request."""
    whole = good(demo)
    pieces = [whole[at : at + 7] for at in range(0, len(whole), 7)]
    assert say(demo.url, *pieces, pause=0.002).status == 200


# --- HT-05: many and slow; RL-01: whose address ---


@pytest.mark.slow
def test_slow_clients_do_not_slow_others(demo):
    """HT-05: beside 150 slow clients others wait under 2 s, and a head that is not there in 10 s is 408."""
    head = b"POST /o/acme/oauth2/token HTTP/1.1\r\nHost: keyturn\r\n"
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connect(demo.url, 30)) for _ in range(150)]
        began = time.monotonic()
        for number, connection in enumerate(slow):
            body = (
                b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 500\r\n\r\ngrant_type="
            )
            connection.sendall(head + (body if number % 2 else b"X-Slow: "))
        waits = []
        while time.monotonic() < began + 9:
            for connection in slow[:20]:
                connection.sendall(b"x")
            waits.append(demo.token("oauth2").seconds)
            time.sleep(0.2)
        assert statistics.median(waits) < 2
        heads = [hear(connection, 30) for connection in slow[0:20:2]]
        assert [heard.statuses for heard in heads] == [[408]] * 10
        assert 9 < time.monotonic() - began < 25


@pytest.fixture(scope="module")
def tight(tmp_path_factory, new_demo):
    """A demo behind a proxy on this machine, with small limits for an address."""
    folder = tmp_path_factory.mktemp("tight")
    environ = {
        "KEYTURN_TRUSTED_PROXIES": "127.0.0.1/32",
        "KEYTURN_LIMITS__ADDRESS__PER_MINUTE": "1",
        "KEYTURN_LIMITS__ADDRESS__BURST": "3",
        "KEYTURN_LIMITS__CONNECTIONS_PER_ADDRESS": "20",
    }
    with new_demo(folder, environ=environ) as node:
        yield node


def statuses(node, dialect, *fors, **headers):
    """Ask for a token once for each forwarded address."""
    client = node.client(dialect)
    with Caller(node.url) as caller:
        return [
            caller.ask(
                "POST", client.path, client.form(), {"Content-Type": FORM, "X-Forwarded-For": each, **headers}
            )
            for each in fors
        ]


def test_a_trusted_proxy_names_the_address(tight):
    """RL-01: behind a trusted proxy each forwarded address has its own limit, by the last hop."""
    one = statuses(tight, "oauth2", *["192.0.2.1"] * 5)
    assert [answer.status for answer in one] == [200, 200, 200, 429, 429]
    assert [answer.status for answer in statuses(tight, "oauth2", "192.0.2.2")] == [200]
    lied = [f"198.51.100.{number}, 192.0.2.1" for number in range(3)]
    assert {answer.status for answer in statuses(tight, "oauth2", *lied)} == {429}
    junk = statuses(tight, "oauth2", *["192.0.2.9, <script>"] * 5, Forwarded="for=192.0.2.77")
    assert junk[-1].status == 429


def test_a_stranger_names_nothing(tmp_path, new_demo):
    """RL-01: without a trusted proxy X-Forwarded-For and Forwarded are not believed."""
    environ = {"KEYTURN_LIMITS__ADDRESS__PER_MINUTE": "1", "KEYTURN_LIMITS__ADDRESS__BURST": "3"}
    with new_demo(tmp_path, environ=environ) as node:
        fors = [f"192.0.2.{number}" for number in range(5)]
        answers = statuses(node, "oauth2", *fors, Forwarded="for=192.0.2.66")
        assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]


def test_over_a_rate_limit(tight, dialect):
    """RL-01: over a limit the answer is 429 in the dialect's own format, with Retry-After."""
    address = {"oauth2": "192.0.2.50", "endorsed": "192.0.2.51"}[dialect]
    last = statuses(tight, dialect, *[address] * 4)[-1]
    assert last.status == 429
    assert error_of(dialect, last) == {"oauth2": "slow_down", "endorsed": "TOO_MANY_REQUESTS"}[dialect]
    assert 1 <= int(last.headers["retry-after"]) <= 60


def test_too_many_connections(tight):
    """HT-05: over its cap an address is answered 503 with Retry-After, and has its places back at once."""
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(connect(tight.url))
        within(SOON_SECONDS, lambda: say(tight.url, GET + b"\r\n").status == 503)
        heard = say(tight.url, GET + b"\r\n")
        assert heard.headers["retry-after"]
        assert tight.health() == 200
    within(SOON_SECONDS, lambda: ask(tight.url + "/o/acme/.well-known/jwks.json").status == 200)


# --- whatever comes ---

SEED = 20261121
SPICE = [
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\x00",
        b" ",
        b"\t",
        b":",
        b",",
        b"%",
        b"%00",
        b"%ff",
        b"\xff",
        b"\xed\xa0\x80",
    ),
    *(b"chunked", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 3\r\n", b"Expect: 100-continue\r\n"),
    *(b"0\r\n\r\n", b"HTTP/1.0", b"HTTP/9.9", b"Connection: keep-alive\r\n", b"{", b"[[[[", b'"\\ud800"'),
    *(b"application/json", b"Basic ====", b"Basic Og==", b"&scope=", b"&&&", b"=", b"client_id=", b"1e999"),
]


def spoil(whole, dice):
    """Change a request in a few places: cut, double, swap, insert what hurts, flip bits."""
    content = bytearray(whole)
    for _ in range(dice.randint(1, 5)):
        at = dice.randrange(len(content) + 1)
        end = min(len(content), at + dice.randrange(30))
        what = dice.randrange(5)
        if what == 0:
            del content[at:end]
        elif what == 1:
            content[at:at] = content[at:end]
        elif what == 2 and at < len(content):
            content[at] = dice.randrange(256)
        else:
            content[at:at] = dice.choice(SPICE)
    return bytes(content)


def starts(demo):
    """Write good requests of every kind, for a fuzzer to begin with."""
    form, client = demo.client("oauth2"), demo.client("endorsed")
    body = json.dumps(
        {"client_id": client.client_id, "client_secret": client.client_secret, "scope": ["all:read"]}
    ).encode()
    whole = good(demo)
    return [
        whole,
        good(demo, dialect="endorsed"),
        post(client.path, body).replace(b"application/x-www-form-urlencoded", b"application/json"),
        post(form.path, b"5\r\nscope\r\n3;x=y\r\n=ab\r\n0\r\n\r\n", b"Transfer-Encoding: chunked"),
        post(form.path, b"grant_type=client_credentials", b"Authorization: Basic YTpi"),
        GET + b"If-None-Match: *\r\nRange: bytes=0-1\r\n\r\n",
        b"HEAD /.well-known/openid-configuration/o/acme HTTP/1.0\r\n\r\n",
    ]


def gather(connections, seconds):
    """Read from many connections at once until all are closed or the time is over."""
    heard = dict.fromkeys(connections, b"")
    still, until = list(connections), time.monotonic() + seconds
    while still and time.monotonic() < until:
        for connection in select.select(still, [], [], max(0.0, until - time.monotonic()))[0]:
            try:
                piece = connection.recv(65536)
            except OSError:
                piece = b""
            heard[connection] += piece
            if not piece:
                still.remove(connection)
    return heard


def faults(node):
    """Count the faults that a server has logged."""
    return [event["event"] for event in node.events()].count("fault")


@pytest.mark.slow
def test_no_request_gives_a_fault(demo):
    """HT-08: hundreds of spoilt requests give no 5xx and no fault, and the server stays ready."""
    dice = random.Random(SEED)  # noqa: S311  # a test repeats itself
    bases = starts(demo)
    faults_before = faults(demo)
    answered = 0
    for _ in range(5):
        with contextlib.ExitStack() as stack:
            sent = {}
            for _ in range(100):
                connection = stack.enter_context(connect(demo.url))
                sent[connection] = spoil(dice.choice(bases), dice)
                connection.sendall(sent[connection])
            for connection, content in gather(sent, 1.0).items():
                found = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", content)]
                answered += bool(found)
                assert max(found, default=0) < 500, (sent[connection], content)
    assert answered > 300
    assert demo.health() == 200
    assert demo.token("oauth2").status == 200
    assert faults(demo) == faults_before
