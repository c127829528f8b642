"""Organisations and their settings over the admin API."""

from admin.test_access import refused

ONE = "/organisations/acme"


async def test_organisations(admin):
    """An organisation is made, found by id and slug, renamed, switched off and on, and deleted."""
    made = await admin.make("/organisations", {"slug": "new", "name": "New"})
    assert await admin.get("/organisations/new") == await admin.get(f"/organisations/{made['id']}") == made
    await refused(admin, "POST", "/organisations", 409, {"slug": "new", "name": "Again"})
    await refused(admin, "POST", "/organisations", 400, {"slug": "No Slug", "name": "x"})
    changed = await admin.call("PATCH", "/organisations/new", {"name": "Newer"}, version=made["version"])
    assert changed.json["name"] == "Newer"
    assert (await admin.make("/organisations/new/disable", status=200))["disabled"]
    assert not (await admin.make("/organisations/new/enable", status=200))["disabled"]
    assert (await admin.call("DELETE", "/organisations/new")).status == 200
    gone = await admin.get(f"/organisations/{made['id']}")
    assert gone["ended_at"]
    assert gone["erased_at"]
    await refused(admin, "POST", "/organisations/new/enable", 409)


async def test_an_alias_is_no_name(admin):
    """An organisation is named by id or slug; its API key, an alias in vendors' contracts, is none here."""
    api_key = (await admin.get(ONE))["api_key"]
    await refused(admin, "GET", f"/organisations/{api_key}", 404)


async def test_settings(admin):
    """A setting is listed with what it may be, set, refused where it may not be so, and reset."""
    path = f"{ONE}/settings/oauth2.lifetime_seconds"
    before = await admin.get(path)
    assert (before["kind"], before["own"], before["value"]) == ("int", False, before["default"])
    changed = await admin.call("PUT", path, {"value": 120})
    assert (changed.json["own"], changed.json["value"]) == (True, 120)
    assert (await admin.here.organisation()).settings["oauth2"]["lifetime_seconds"] == 120
    for value in (-1, "soon", True):
        await refused(admin, "PUT", path, 400, {"value": value})
    await refused(admin, "PUT", path, 400, {})
    assert (await admin.call("DELETE", path)).json == before
    await refused(admin, "GET", f"{ONE}/settings/oauth2.algorithm", 404)
    listed = await admin.get(f"{ONE}/settings", "limit=200")
    assert before in listed["items"]
    assert {"policy.max_secret_days"} <= {each["name"] for each in listed["items"]}


async def test_deleting_takes_its_admin_tokens(admin):
    """TN-05: a deleted organisation leaves no admin token and no kept answer."""
    from admin.kit import Admin, token_for

    await admin.make("/organisations", {"slug": "new", "name": "New"})
    bound = Admin(admin.here, await token_for(admin.here, slug="new"))
    await bound.make("/organisations/new/clients", {"name": "a"}, key="k")
    assert (await admin.call("DELETE", "/organisations/new")).status == 200
    assert (await bound.call("GET", "/organisations/new")).status == 401
    assert len((await admin.get("/admin-tokens"))["items"]) == 1
    assert "KeptAnswer" not in repr(list(admin.here.store._shelf.rows.values()))
