"""Signing keys, limits and the audit trail over the admin API."""

from admin.kit import Admin, token_for
from admin.test_access import refused

ACME = "/organisations/acme"


async def test_signing_keys(admin):
    """A ring is listed, turned by hand, and a key that leaked is withdrawn and gone from the key set."""
    here = admin.here
    await here.jwks()
    turned = await admin.make(f"{ACME}/signing-keys/rotate", {"algorithm": "ES256"}, status=200)
    [result] = turned["items"]
    assert (result["algorithm"], result["rotated"]) == ("ES256", True)
    listed = (await admin.get(f"{ACME}/signing-keys", "algorithm=ES256"))["items"]
    assert {each["state"] for each in listed} >= {"current", "next"}
    assert all("d" not in each["public_jwk"] for each in listed)
    leaked = next(each["id"] for each in listed if each["state"] == "current")
    gone = await admin.call("DELETE", f"{ACME}/signing-keys/{leaked}")
    assert (gone.status, gone.json["was"]) == (200, "current")
    assert leaked not in {key["kid"] for key in (await here.jwks())["keys"]}
    await refused(admin, "DELETE", f"{ACME}/signing-keys/{leaked}", 404)
    await refused(admin, "POST", f"{ACME}/signing-keys/rotate", 400, {"algorithm": "HS256"})


async def test_shared_issuers(admin):
    """TN-02: the ring that all organisations share is the deployment's alone."""
    names = [each["name"] for each in (await admin.get("/shared-issuers"))["items"]]
    assert "checkmarx" in names
    turned = await admin.make("/shared-issuers/checkmarx/signing-keys/rotate", status=200)
    assert [each["algorithm"] for each in turned["items"]] == ["RS256"]
    assert (await admin.get("/shared-issuers/checkmarx/signing-keys"))["items"]
    await refused(admin, "GET", "/shared-issuers/nobody/signing-keys", 404)
    bound = Admin(admin.here, await token_for(admin.here, slug="acme"))
    for path in ("/shared-issuers", "/shared-issuers/checkmarx/signing-keys"):
        await refused(bound, "GET", path, 403)
    own = (await admin.get(f"{ACME}/signing-keys"))["items"]
    other = next(iter(await admin.here.local.deployment.signing_keys("checkmarx"))).id
    await refused(bound, "DELETE", f"{ACME}/signing-keys/{other}", 404)
    assert other not in {each["id"] for each in own}


async def test_limits_are_shown(admin):
    """The limits that the configuration sets are shown, and not changed here."""
    found = {each["name"]: each for each in (await admin.get("/limits"))["items"]}
    assert {"client", "address", "organisation"} <= found.keys()
    assert found["client"]["per_minute"] == 1_000_000
    await refused(admin, "PUT", "/limits", 405, {})


async def test_audit(admin):
    """AD-05: the trail is searched newest first, in pages, by kind, subject and time, never changed."""
    made = await admin.make("/organisations", {"slug": "new", "name": "New"})
    for name in ("a", "b", "c"):
        await admin.make("/organisations/new/clients", {"name": name})
    found = await admin.get("/audit", "organisation=new&kind=client.created")
    assert len(found["items"]) == 3
    assert all(each["personal"]["address"] == admin.address for each in found["items"])
    first = await admin.get("/audit", "organisation=new&kind=client.created&limit=2")
    rest = await admin.get("/audit", f"organisation=new&kind=client.created&limit=2&cursor={first['next']}")
    assert first["items"] + rest["items"] == found["items"]
    assert rest["next"] is None
    [row] = (await admin.get("/audit", f"subject={made['id']}&kind=organisation.created"))["items"]
    assert (row["details"], row["outcome"], row["organisation_id"]) == ({"slug": "new"}, "ok", made["id"])
    assert (await admin.get("/audit", "until=2020-01-01T00:00:00Z"))["items"] == []
    assert (await admin.get("/audit", "since=2026-11-02T00:00:00Z"))["items"] == []
    for method in ("POST", "PATCH", "PUT", "DELETE"):
        await refused(admin, method, "/audit", 405)
    await refused(admin, "GET", "/audit", 400, query=f"cursor={first['next']}")
    await refused(admin, "GET", "/audit", 400, query="sort=at")


async def test_audit_of_one_organisation(admin):
    """TN-02: a token of one organisation reads its own rows, and that it read them is one of them."""
    bound = Admin(admin.here, await token_for(admin.here, "audit:read", slug="globex"))
    own = admin.here.organisations["globex"].id
    shown = await bound.get("/audit", "limit=200")
    assert {each["organisation_id"] for each in shown["items"]} == {own}
    await refused(bound, "GET", "/audit", 404, query="organisation=acme")
    [read] = (await bound.get("/audit", "kind=audit.read"))["items"]
    assert read["actor"].startswith("admin:")
