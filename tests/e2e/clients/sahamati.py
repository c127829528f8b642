"""A member of Sahamati, written from the contract alone, with Python's library and ``cryptography``.

It reads one JSON object from standard input, ``{base_url, username, password, entity_id}``, and writes one
that says what it was told.
"""

import base64
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256


def send(url, body=None, **headers):
    """Send a request; gives status and body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, body, named)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


class Member:
    """One entity, the user who looks after its secret, and the token service they ask."""

    def __init__(self, given):
        """Take the address and the credentials."""
        self._base = given["base_url"]
        self._given = given

    def generate(self, whose, **fields):
        """Ask for a token by a form."""
        body = urllib.parse.urlencode(fields).encode()
        form = "application/x-www-form-urlencoded"
        return send(f"{self._base}/{whose}/token/generate", body, Content_Type=form)

    def user_token(self):
        """Log in."""
        return self.generate("user", username=self._given["username"], password=self._given["password"])

    def secret(self, verb, token, days=None, entity_id=None):
        """Read or reset the entity's secret."""
        told = {
            "ver": "1.0.0",
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "txnId": str(uuid.uuid4()),
            "entityId": entity_id or self._given["entity_id"],
        }
        if days is not None:
            told["secretExpiryDays"] = days
        headers = {"Content_Type": "application/json", "Authorization": "Bearer " + token}
        status, body = send(f"{self._base}/entity/secret/{verb}", json.dumps(told).encode(), **headers)
        if body["txnId"] != told["txnId"]:
            raise ValueError("the answer is to another request")
        return status, body

    def entity_token(self, secret):
        """Ask for a token of the entity."""
        return self.generate("entity", id=self._given["entity_id"], secret=secret)


def decoded(part):
    """Decode a part of a token, or a number of a key."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def verified(token):
    """Verify a token as a member does who got it: by the keys of its issuer."""
    head, body, signature = token.split(".")
    header, claims = json.loads(decoded(head)), json.loads(decoded(body))
    if header["alg"] != "RS256":
        raise ValueError("not signed as the contract says")
    _, certs = send(claims["iss"] + "/protocol/openid-connect/certs")
    (key,) = (each for each in certs["keys"] if each["kid"] == header["kid"])
    numbers = (int.from_bytes(decoded(key[name])) for name in ("e", "n"))
    public = RSAPublicNumbers(*numbers).public_key()
    public.verify(decoded(signature), f"{head}.{body}".encode(), PKCS1v15(), SHA256())
    if not claims["iat"] < claims["exp"] > time.time():
        raise ValueError("over")
    if claims.get("roles") not in ("AA", "FIP", "FIU"):
        raise ValueError("no entity's token")
    return claims


def is_refused(token):
    """Tell whether another member refuses a token."""
    try:
        verified(token)
    except ValueError:
        return True
    return False


def main():
    """Walk through the whole contract."""
    member = Member(json.load(sys.stdin))
    said = {"user": member.user_token()}
    token = said["user"][1]["accessToken"]
    said["read"] = member.secret("read", token)
    secret = said["read"][1]["secret"]
    said["entity"] = member.entity_token(secret)
    entity_token = said["entity"][1]["accessToken"]
    said["claims"] = verified(entity_token)
    said["user_token_refused"] = is_refused(token)
    said["reset"] = member.secret("reset", token, 30)
    said["reset_by_default"] = member.secret("reset", token)
    said["reset_too_long"] = member.secret("reset", token, 181)
    said["no_days"] = member.secret("reset", token, 0)
    said["old"] = member.entity_token(secret)
    said["new"] = member.entity_token(said["reset_too_long"][1]["secret"])
    said["still_good"] = verified(entity_token)["azp"]
    said["by_entity_token"] = member.secret("read", entity_token)
    said["unknown"] = member.secret("read", token, entity_id="NOBODY")
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()
