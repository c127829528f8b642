"""A caller of the Mend SCA API 2.0, written from its contract alone, with nothing but Python's library.

It reads one JSON object from standard input: ``{base_url, email, user_key, org_token, other_org}``; it writes
one that says what it was told.
"""

import base64
import json
import sys
import time
import urllib.error
import urllib.request

NEAR_SECONDS = 60


class ApiError(Exception):
    """The API said no."""

    def __init__(self, status, body):
        """Keep what it said."""
        super().__init__(body.get("retVal", {}).get("errorMessage", f"status {status}"))
        self.status = status


class Session:
    """Logs in when it must, refreshes in time, and logs in again when an answer has no ``retVal``."""

    def __init__(self, given):
        """Take the address and the credential."""
        self._api = given["base_url"] + "/api/v2.0"
        self._given = given
        self.told = None
        self.logins = self.refreshes = 0

    def _send(self, path, headers, method="GET", body=None):
        request = urllib.request.Request(self._api + path, body, headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def log_in(self, org_token=None, user_key=None):
        """Exchange the user key."""
        self.logins += 1
        told = {
            "email": self._given["email"],
            "userKey": user_key or self._given["user_key"],
            "orgToken": org_token or self._given["org_token"],
        }
        headers = {"Content-Type": "application/json; charset=utf-8"}
        status, body = self._send("/login", headers, "POST", json.dumps(told, indent=4).encode())
        if status != 200:
            raise ApiError(status, body)
        self.told = body["retVal"]

    def refresh(self):
        """Exchange the refresh token."""
        self.refreshes += 1
        headers = {"wss-refresh-token": self.told["refreshToken"], "Content-Type": "application/json"}
        status, body = self._send("/login/accessToken", headers, "POST", b"{}")
        if status != 200:
            raise ApiError(status, body)
        self.told = body

    def call(self, path, *, again=True):
        """Call, and give what stands in ``retVal``."""
        if self.told is None:
            self.log_in()
        elif self._is_near_its_end():
            self.refresh()
        status, body = self._send(path, {"Authorization": "Bearer " + self.told["jwtToken"]})
        if "retVal" not in body and again:
            self.log_in(self.told["orgUuid"])
            return self.call(path, again=False)
        if status != 200:
            raise ApiError(status, body)
        return body["retVal"]

    def _is_near_its_end(self):
        parts = self.told["jwtToken"].split(".")
        if len(parts) != 3:
            return False
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return claims["exp"] - time.time() < NEAR_SECONDS


def failure(doing, *arguments, **options):
    """Do what must fail, and say how it did."""
    try:
        doing(*arguments, **options)
    except ApiError as error:
        return {"status": error.status, "message": str(error)}
    return None


def main():
    """Walk through the whole contract."""
    given = json.load(sys.stdin)
    other = given["other_org"]
    session = Session(given)
    said = {"orgs": session.call("/orgs"), "first": session.told}
    session.refresh()
    said["refreshed"] = session.told
    said["shown"] = session.call("/orgs/" + session.told["orgUuid"])
    said["foreign"] = failure(session.call, "/orgs/" + other)
    session.told = session.call(f"/orgs/{session.told['orgUuid']}/changeOrganization/{other}")
    said["changed"] = session.told
    said["there"] = session.call("/orgs/" + other)
    session.told = {**session.told, "jwtToken": "no token any more"}
    said["afterwards"] = session.call("/orgs/" + other)
    said["wrong"] = failure(session.log_in, user_key="wrong")
    said["counts"] = {"logins": session.logins, "refreshes": session.refreshes}
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()
