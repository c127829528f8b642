"""A server whose signing keys are in a PKCS#11 token: issuing, and what happens while the token is away."""

import jwt
import pytest

from e2e.servers import SOON_SECONDS, ask, serving, told, within
from softhsm import PIN


@pytest.mark.slow
def test_a_server_signs_with_a_token(tmp_path, device):
    """TK-12, TK-14, HT-09: keys of a token sign, turn and are withdrawn; away it is 503, then it is back."""
    (tmp_path / "pin").write_text(PIN + "\n")
    environ = device.environ | {
        "KEYTURN_KEYS__SIGNER": "pkcs11",
        "KEYTURN_PKCS11__MODULE": str(device.module),
        "KEYTURN_PKCS11__TOKEN": device.label,
        "KEYTURN_PKCS11__PIN_FILE": str(tmp_path / "pin"),
    }
    data, home = tmp_path / "data", tmp_path / "home"
    at = ("--data", str(data))
    with serving(data, home, environ=environ) as node:

        def kid():
            answer = node.token("oauth2")
            assert answer.status == 200
            token = answer.json["access_token"]
            keys = ask(node.url + "/o/acme/.well-known/jwks.json").json
            key = jwt.PyJWKSet.from_dict(keys)[jwt.get_unverified_header(token)["kid"]]
            jwt.decode(token, key, options={"verify_aud": False})
            return key.key_id

        first = kid()
        [turned] = told(home, "keys", "rotate", "--org", "acme", *at, environ=environ)
        within(SOON_SECONDS, lambda: kid() == turned["key_id"])
        told(home, "keys", "withdraw", first, "--yes", *at, environ=environ)
        within(
            SOON_SECONDS, lambda: first not in ask(node.url + "/o/acme/.well-known/jwks.json").body.decode()
        )
        with device.away():
            refused = node.token("oauth2")
            assert (refused.status, refused.headers["retry-after"]) == (503, "1")
            assert node.health() == 503
            assert ask(node.url + "/o/acme/.well-known/jwks.json").status == 200
        assert within(SOON_SECONDS, lambda: node.token("oauth2").status == 200) < 5
        assert node.health() == 200
        assert kid() == turned["key_id"]
    assert PIN not in node.log.read_text().replace(turned["key_id"], "")
