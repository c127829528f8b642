"""A client of the Sahamati Token Service, written from its pages by somebody who had not seen Keyturn's code.

Reads a section ``sahamati`` of demo.json on standard input and prints what came of each step as one JSON
object. It resets the secret of the second entity and leaves the first one's as it was.
"""

import json
import sys
import urllib.error
import urllib.request
import uuid
from base64 import b64encode, urlsafe_b64decode
from datetime import UTC, datetime
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

PATIENCE_SECONDS = 30


def ask(url, body=None, headers=None):
    """Send a POST where there is a body, else a GET; give the status and the JSON that every answer is."""
    request = urllib.request.Request(url, body, headers or {})  # noqa: S310  # the address is the test's own
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310
            return [answer.status, json.load(answer)]
    except urllib.error.HTTPError as refused:
        with refused:
            return [refused.code, json.load(refused)]


def token(base, who, **fields):
    """Ask for a token: ``user`` by name and password, ``entity`` by id and secret."""
    # urllib calls the body a form by itself; "+" goes out as %2B and "@" as %40.
    return ask(f"{base}/{who}/token/generate", urlencode(fields).encode())


def secret(base, what, authorization, entity_id, **more):
    """``read`` or ``reset`` a secret; give what was sent as ``txnId`` too."""
    body = {
        "ver": "1.0.0",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "txnId": str(uuid.uuid4()),
        "entityId": entity_id,
        **more,
    }
    headers = {"Content-Type": "application/json", "Authorization": authorization}
    return [*ask(f"{base}/entity/secret/{what}", json.dumps(body).encode(), headers), body["txnId"]]


def verified(token):
    """Give the claims of an entity's token as a member does who got it: by the keys of the printed issuer."""
    middle = token.split(".")[1]
    issuer = json.loads(urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))["iss"]
    certs = KeySet.import_key_set(ask(f"{issuer}/protocol/openid-connect/certs")[1])
    claims = jwt.decode(token, certs, algorithms=["RS256"]).claims
    rules = jwt.JWTClaimsRegistry(
        exp={"essential": True},
        iat={"essential": True},
        roles={"essential": True, "values": ["AA", "FIP", "FIU"]},
    )
    rules.validate(claims)
    if claims["exp"] <= claims["iat"]:
        raise ValueError("over before it began")
    return claims


def is_refused(token):
    """Tell whether another member refuses a token."""
    try:
        verified(token)
    except JoseError:
        return True
    return False


def run(given):
    """Take every step once."""
    base, entity, second = given["base_url"], given["entity_id"], given["second_entity_id"]
    user = token(base, "user", username=given["username"], password=given["password"])
    bearer = f"Bearer {user[1]['accessToken']}"
    read = secret(base, "read", bearer, entity)
    entity_token = token(base, "entity", id=entity, secret=read[1]["secret"])
    own = entity_token[1]["accessToken"]
    before = secret(base, "read", bearer, second)
    early = token(base, "entity", id=second, secret=before[1]["secret"])
    reset = secret(base, "reset", bearer, second, secretExpiryDays=100)
    default = secret(base, "reset", bearer, second)
    too_long = secret(base, "reset", bearer, second, secretExpiryDays=181)
    claims = verified(own)
    basic = b64encode(f"{entity}:{read[1]['secret']}".encode()).decode()
    return {
        "user": user,
        "read": read,
        "raw": secret(base, "read", user[1]["accessToken"], entity),
        "entity": entity_token,
        "claims": claims,
        "user_token_refused": is_refused(user[1]["accessToken"]),
        "before": before,
        "reset": reset,
        "default": default,
        "too_long": too_long,
        "still_good": verified(early[1]["accessToken"])["azp"],
        "old": token(base, "entity", id=second, secret=before[1]["secret"]),
        "new": token(base, "entity", id=second, secret=too_long[1]["secret"]),
        "grace": token(
            base, "entity", id=given["grace"]["entity_id"], secret=given["grace"]["entity_secret"]
        ),
        "expired": token(
            base, "entity", id=given["expired"]["entity_id"], secret=given["expired"]["entity_secret"]
        ),
        "wrong_password": token(base, "user", username=given["username"], password="wrong"),
        "unknown_user": token(base, "user", username="a+b@x.in", password="wrong"),
        "no_secret": token(base, "entity", id=entity),
        "entity_token": secret(base, "read", f"Bearer {own}", entity),
        "unknown_entity": secret(base, "reset", bearer, "FIU-NOBODY"),
        "no_entity": secret(base, "read", bearer, ""),
        "no_days": secret(base, "reset", bearer, second, secretExpiryDays=0),
        "text_days": secret(base, "reset", bearer, second, secretExpiryDays="100"),
        "predecessor": ask(
            f"{claims['iss']}/protocol/openid-connect/token",
            b"grant_type=client_credentials&scope=openid",
            {"Authorization": f"Basic {basic}"},
        ),
    }


if __name__ == "__main__":
    json.dump(run(json.load(sys.stdin)), sys.stdout)
