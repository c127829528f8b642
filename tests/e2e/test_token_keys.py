"""A server whose signing keys are in a PKCS#11 token: issuing, and what happens while the token is away."""

import jwt
import pytest

from e2e.servers import SOON_SECONDS, ask, within
from softhsm import PIN


@pytest.mark.slow
def test_a_server_signs_with_a_token(tmp_path, device, new_demo):
    """TK-12, HT-09: keys of a token sign; while it is away it is 503 and not ready, then it signs again."""
    (tmp_path / "pin").write_text(PIN + "\n")
    environ = device.environ | {
        "KEYTURN_KEYS__SIGNER": "pkcs11",
        "KEYTURN_PKCS11__MODULE": str(device.module),
        "KEYTURN_PKCS11__TOKEN": device.label,
        "KEYTURN_PKCS11__PIN_FILE": str(tmp_path / "pin"),
    }
    with new_demo(tmp_path, environ=environ) as node:
        jwks = node.url + "/o/acme/.well-known/jwks.json"
        token = node.token("oauth2").json["access_token"]
        key = jwt.PyJWKSet.from_dict(ask(jwks).json)[jwt.get_unverified_header(token)["kid"]]
        jwt.decode(token, key, options={"verify_aud": False})
        with device.away():
            refused = node.token("oauth2")
            assert (refused.status, refused.headers["retry-after"]) == (503, "1")
            assert node.health() == 503
            assert ask(jwks).status == 200
        # A promise of 5 s; on a machine that does other things too it may take longer to look.
        within(SOON_SECONDS, lambda: node.token("oauth2").status == 200)
        assert node.health() == 200
