"""A client of Mend's SCA API 2.0, written by somebody who had not seen Keyturn's code.

Reads a section ``mend`` of demo.json on standard input and prints what came of each step as one JSON object.
"""

import base64
import json
import sys
import urllib.error
import urllib.request
from urllib.parse import urlencode

PATIENCE_SECONDS = 30


def ask(url, body=None, **headers):
    """Send a POST where there is a body, else a GET; give the status and the JSON that every answer is."""
    request = urllib.request.Request(  # noqa: S310  # the address is the test's own
        url, body, {name.replace("_", "-"): value for name, value in headers.items()}
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def lifetime(token):
    """Count the seconds of a token as its holder does, from ``iat`` and ``exp``, without its key."""
    middle = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    return claims["exp"] - claims["iat"]


class Mend:
    """The calls at one address."""

    def __init__(self, login_url, refresh_url):
        """Take the addresses."""
        self.login_url = login_url
        self.refresh_url = refresh_url
        self.api = login_url.removesuffix("/login")

    def login(self, email, user_key, **org):
        """Log in as the page's sample does, over several lines."""
        body = json.dumps({"email": email, "userKey": user_key, **org}, indent=4)
        return ask(self.login_url, body.encode(), Content_Type="application/json")

    def refresh(self, token, body=b""):
        """Ask for the next token; the body may be nothing or an empty object."""
        return ask(self.refresh_url, body, wss_refresh_token=token, Content_Type="application/json")

    def get(self, path, token, **query):
        """Call with a token as clients do."""
        asked = f"?{urlencode(query)}" if query else ""
        return ask(f"{self.api}{path}{asked}", Authorization=f"Bearer {token}")

    def stubborn(self, path, token, email, user_key):
        """Call, and where the answer has no ``retVal`` log in and call again, as one vendor script does."""
        status, answer = self.get(path, token)
        if "retVal" in answer:
            return status, answer
        return self.get(path, self.login(email, user_key)[1]["retVal"]["jwtToken"])


def run(given):
    """Take every step once."""
    mend = Mend(given["login_url"], given["refresh_url"])
    who = given["email"], given["user_key"]
    status, login = mend.login(*who, orgToken=given["org_token"])
    inside = login["retVal"]
    refreshed = mend.refresh(inside["refreshToken"])
    again = mend.refresh(refreshed[1]["refreshToken"], b"{}")
    token, org = again[1]["jwtToken"], inside["orgUuid"]
    orgs = mend.get("/orgs", token, sort="-name", pageSize=1, page=0)
    other = orgs[1]["retVal"][0]["uuid"]
    changed = mend.get(f"/orgs/{org}/changeOrganization/{other}", token)
    service = given["service_user"]
    return {
        "login": [status, login],
        "lifetime": lifetime(inside["jwtToken"]),
        "refresh": list(refreshed),
        "again": list(again),
        "org": list(mend.get(f"/orgs/{given['org_token']}", token)),
        "orgs": list(orgs),
        "changed": list(changed),
        "stubborn": list(mend.stubborn(f"/orgs/{other}", "over", *who)),
        "last": list(mend.login(*who)),
        "no_org": list(mend.login(*who, orgToken=None)),
        "alias": list(mend.login(*who, apiKey=given["org_token"])),
        "service": list(mend.login(service["email"], service["user_key"])),
        "wrong_key": list(mend.login(given["email"], "wrong", orgToken=given["org_token"])),
        "unknown": list(mend.login("nobody@mail.example", given["user_key"])),
        "wrong_refresh": list(mend.refresh(token)),
        "wrong_jwt": list(mend.get("/orgs", inside["refreshToken"])),
        "other_org": list(mend.get(f"/orgs/{org}", changed[1]["retVal"]["jwtToken"])),
        "no_key": list(ask(mend.login_url, b'{"email": "x"}', Content_Type="application/json")),
    }


if __name__ == "__main__":
    json.dump(run(json.load(sys.stdin)), sys.stdout)
