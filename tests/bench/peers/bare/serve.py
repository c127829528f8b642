"""The floor under any ASGI token endpoint here: read a form, answer 900 bytes of JSON, check nothing.

Served with the settings that Keyturn gives to uvicorn, so that the difference is Keyturn's own work.
"""

import sys
from urllib.parse import parse_qsl

import msgspec
import uvicorn

TOKEN = "e" * 780
_encode = msgspec.json.Encoder().encode


async def app(scope, receive, send):
    """Answer any request."""
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    fields = dict(parse_qsl(body.decode()))
    answer = _encode(
        {
            "access_token": TOKEN,
            "token_type": "Bearer",
            "expires_in": 3600,
            "scope": fields.get("scope", ""),
            "grant": fields["grant_type"],
        }
    )
    headers = [
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        (b"content-length", b"%d" % len(answer)),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


if __name__ == "__main__":
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
    )
