"""The demo's organisations, and what each dialect's fixtures make in them; tests begin with the same.

Everything is made by the verbs that an operator has. A fixture that has had its day is made as of a day in
the past, so that its life says by itself what has become of it. What is there already, because an earlier
start was interrupted, is found by its name and given fresh secrets.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from keyturn.app import LocalServices
from keyturn.core import totp
from keyturn.core.actors import system
from keyturn.core.actors import user as acting
from keyturn.core.admin_records import ALL
from keyturn.core.base62 import encode
from keyturn.core.canonical import canonical_user_name
from keyturn.core.errors import Fault
from keyturn.core.records import Entity, Organisation, User
from keyturn.core.secret import Secret
from keyturn.core.shapes import compile_shape
from keyturn.core.vocabulary import PROJECTS_VIEW, CredentialId, EntityId
from keyturn.directory.admin_tokens import AdminTokenWish, create_admin_token
from keyturn.directory.api_tokens import ApiTokenWish, create_api_token
from keyturn.directory.clients import ClientWish, create_client
from keyturn.directory.credentials import create_client_secret, end_credential
from keyturn.directory.entities import create_entity, link_user
from keyturn.directory.memberships import add_member
from keyturn.directory.organisations import change_organisation_setting, create_organisation
from keyturn.directory.passwords import set_password
from keyturn.directory.projects import create_project, list_projects
from keyturn.directory.second_factor import confirm_totp, enrol_totp
from keyturn.directory.secrets import GRACE_DAYS, SECRET_DAYS, reset_secret
from keyturn.directory.team_tree import TeamTree
from keyturn.directory.teams import create_team
from keyturn.directory.user_keys import create_user_key
from keyturn.directory.users import UserWish, create_user
from keyturn.wire.tables import (
    ApiTokenFixture,
    ClientFixture,
    DemoEntry,
    Dialect,
    EntityFixture,
    Fixture,
    FixtureState,
    ProjectFixture,
    TeamFixture,
    UserFixture,
)

ORGANISATIONS = {"acme": "Acme", "globex": "Globex"}
MAIN, OTHER = ORGANISATIONS

_ACTOR = system("demo")
_NOW = timedelta()
_MOMENT = timedelta(minutes=2)
"""Past every step of a passcode that is still accepted."""
_PASSWORD_BYTES, _PASSWORD_LENGTH = 18, 25


async def seed_organisations(local: LocalServices) -> dict[str, Organisation]:
    """Make the demo's organisations, those that are not there yet."""
    found = {}
    for slug, name in ORGANISATIONS.items():
        there = await local.deployment.organisation_by_slug(slug)
        found[slug] = there or await create_organisation(
            _ACTOR, local.deployment, slug, name, now=local.clock.now(), dice=local.dice
        )
    return found


async def seed_admin_token(local: LocalServices) -> str:
    """Make an admin token with all rights, and give its clear text."""
    wish = AdminTokenWish(name="demo", scopes=(ALL,))
    _, secret = await create_admin_token(
        _ACTOR,
        local.deployment,
        wish,
        digester=local.digester,
        now=local.clock.now(),
        dice=local.dice,
    )
    return secret.reveal()


async def seed_dialect(
    local: LocalServices, dialect: Dialect, organisations: Mapping[str, Organisation], public_url: str
) -> dict[str, dict[str, Any]]:
    """Make a dialect's fixtures in both organisations.

    Returns:
        By slug, the members that ``demo.json`` shows of the dialect: secrets in clear text.

    Raises:
        Fault: A fixture is of a kind or in a state that nobody can make.
        ValueError: The dialect's demo entry shows a fact that no fixture makes.
    """
    render = compile_shape(dialect.demo.members, _known(dialect.demo), f"{dialect.name}.demo")
    passwords: dict[str, Secret] = {}
    plots = {slug: _Plot(local, dialect, each, public_url, passwords) for slug, each in organisations.items()}
    for plot in plots.values():
        await plot.choose(dialect.demo.settings)
        for fixture in dialect.demo.fixtures:
            await plot.make(fixture)
    home, elsewhere = plots[MAIN], plots[OTHER]
    for fixture in dialect.demo.fixtures:
        if isinstance(fixture, UserFixture) and fixture.elsewhere:
            await elsewhere.join(home.users[fixture.key], fixture)
    for plot in plots.values():
        await plot.look_around()
    return {
        MAIN: render(home.facts | _behind("other.", elsewhere.facts)),
        OTHER: render(elsewhere.facts | _behind("other.", home.facts)),
    }


def _known(entry: DemoEntry) -> frozenset[str]:
    keys = (fixture.key for fixture in entry.fixtures if hasattr(fixture, "key"))
    always = {"public_url", "base_url", "url.", "issuer", "issuer.", "organisation.", "other."}
    return frozenset(always | {f"{key}." for key in keys})


def _behind(prefix: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {prefix + name: value for name, value in facts.items()}


def address_facts(dialect: Dialect, slug: str, public_url: str) -> dict[str, str]:
    """Give every URL of a dialect for an organisation, as demo entries and samples name them."""
    profile = next(exchange.profile for route in dialect.routes for exchange in route.exchanges)
    urls = {
        f"url.{route.name}": public_url + route.path.replace("{organisation}", slug)
        for route in dialect.routes
    }
    return {
        "public_url": public_url,
        "base_url": public_url + dialect.demo.base,
        "issuer": profile.issuer_for(slug, public_url),
        "issuer.jwks": f"{public_url}/o/{slug}/.well-known/jwks.json",
        **urls,
    }


class _Plot:
    """One organisation, while a dialect's fixtures are made in it.

    Args:
        passwords: By fixture, the same in both organisations: only the name of the organisation tells its
            users apart.
    """

    def __init__(
        self,
        local: LocalServices,
        dialect: Dialect,
        organisation: Organisation,
        public_url: str,
        passwords: dict[str, Secret],
    ) -> None:
        """Begin with the facts that need no fixture."""
        self._local = local
        self._dialect = dialect
        self._organisation = organisation
        self._store = local.deployment.organisation_store(organisation.id)
        self._passwords = passwords
        self._longest = timedelta(days=SECRET_DAYS.of(organisation))
        self._owners: dict[str, str] = {}
        self.users: dict[str, User] = {}
        self.facts: dict[str, Any] = {
            "organisation.id": organisation.id,
            "organisation.slug": organisation.slug,
            "organisation.name": organisation.name,
            "organisation.api_key": organisation.api_key,
            **address_facts(dialect, organisation.slug, public_url),
        }

    async def choose(self, settings: Mapping[str, Any]) -> None:
        """Set what the organisation chooses of the dialect's settings."""
        tables = {self._dialect.name: self._dialect.settings}
        for name, value in settings.items():
            await change_organisation_setting(
                _ACTOR,
                self._local.deployment,
                self._organisation.slug,
                f"{self._dialect.name}.{name}",
                value,
                tables=tables,
                **self._at(),
            )

    async def make(self, fixture: Fixture) -> None:
        """Make what a fixture says, and note its facts."""
        match fixture:
            case ClientFixture():
                await self._client(fixture)
            case TeamFixture():
                await self._team(fixture)
            case ProjectFixture():
                await self._project(fixture)
            case UserFixture():
                await self._user(fixture)
            case ApiTokenFixture():
                await self._api_token(fixture)
            case EntityFixture():
                await self._entity(fixture)

    async def join(self, user: User, fixture: UserFixture) -> None:
        """Take a user who is at home in the other organisation into this one."""
        if await self._store.membership_of(user.id) is None:
            await add_member(
                _ACTOR,
                self._local.deployment,
                self._organisation.id,
                user.id,
                role_names=self._named(fixture.roles),
                roles=self._all_roles(),
                **self._at(),
            )

    async def look_around(self) -> None:
        """Note which projects each user may see, now that all are there."""
        for key, user in self.users.items():
            membership = await self._store.membership_of(user.id)
            if membership is not None:
                actor = acting(user, membership, frozenset({PROJECTS_VIEW}))
                page = await list_projects(actor, self._store)
                self.facts[f"{key}.projects"] = tuple(each.project.name for each in page.projects)

    async def _client(self, fixture: ClientFixture) -> None:
        wish = ClientWish(
            name=fixture.name,
            dialects=(self._dialect.name,),
            grants=fixture.grants,
            scopes=fixture.scopes + fixture.unlisted_scopes,
            rights=fixture.rights,
            public=fixture.public,
        )
        client = await create_client(
            _ACTOR, self._store, wish, dialects=tuple(self._local.dialects), **self._at()
        )
        self._owners[fixture.key] = client.id
        self._note(fixture.key, id=client.id, scopes=fixture.scopes, audience=client.audiences[0])
        if not fixture.public:
            digester = self._local.digester
            _, secret = await create_client_secret(
                _ACTOR, self._store, client.id, "demo", digester=digester, **self._at()
            )
            self._note(fixture.key, secret=secret)

    async def _team(self, fixture: TeamFixture) -> None:
        above: str | None = None
        for name in fixture.path.strip("/").split("/"):
            path = f"{above or ''}/{name}"
            if TeamTree(await self._store.teams()).find(path) is None:
                await create_team(_ACTOR, self._store, name, above, **self._at())
            above = path

    async def _project(self, fixture: ProjectFixture) -> None:
        name = fixture.name.format(slug=self._organisation.slug)
        if not any(each.name == name for each in await self._store.projects()):
            await create_project(
                _ACTOR, self._store, name, fixture.teams, open_to_all=fixture.open, **self._at()
            )

    async def _user(self, fixture: UserFixture) -> None:
        slug = self._organisation.slug
        name = fixture.name.format(slug=slug)
        wish = UserWish(
            name=name,
            service=fixture.service,
            email=fixture.email.format(slug=slug) if fixture.email else None,
            email_verified=fixture.email is not None,
            roles=self._named(fixture.roles),
            teams=fixture.teams,
        )
        user = await self._store.user_by_name(canonical_user_name(name))
        if user is None:
            # A home is older than any other place of its user.
            then = self._at(_MOMENT)
            user, _ = await create_user(_ACTOR, self._store, wish, roles=self._all_roles(), **then)
        self.users[fixture.key] = user
        self._owners[fixture.key] = user.id
        self._note(
            fixture.key,
            id=user.id,
            name=name,
            email=user.email,
            organisation_name=self._organisation.name,
        )
        await self._user_secrets(fixture, user)

    async def _user_secrets(self, fixture: UserFixture, user: User) -> None:
        local, store, dialects = self._local, self._store, (self._dialect.name,)
        if fixture.password:
            if fixture.key not in self._passwords:
                number = int.from_bytes(local.dice(_PASSWORD_BYTES))
                self._passwords[fixture.key] = Secret(encode(number, _PASSWORD_LENGTH))
            password = self._passwords[fixture.key]
            await set_password(
                _ACTOR, store, user.id, password, dialects=dialects, passwords=local.passwords, **self._at()
            )
            self._note(fixture.key, password=password)
        if fixture.user_key:
            _, secret = await create_user_key(
                _ACTOR, store, user.id, "demo", dialects=dialects, digester=local.digester, **self._at()
            )
            self._note(fixture.key, user_key=secret)
        if fixture.totp:
            self._note(fixture.key, totp_secret=await self._device(user))

    async def _device(self, user: User) -> Secret:
        """Give a user a device that was confirmed a moment ago, so that the code of now is not spent."""
        local, then = self._local, self._at(_MOMENT)
        enrolled = await enrol_totp(
            _ACTOR, self._store, user.id, "demo", issuer=self._organisation.name, sealer=local.sealer, **then
        )
        code = Secret(totp.passcode(totp.from_base32(enrolled.seed), totp.step_at(then["now"])))
        await confirm_totp(
            _ACTOR, self._store, user.id, code, sealer=local.sealer, digester=local.digester, **then
        )
        return enrolled.seed

    async def _api_token(self, fixture: ApiTokenFixture) -> None:
        if fixture.state is FixtureState.GRACE:
            raise Fault(f"{self._dialect.name}: an API token has no grace")
        wish = ApiTokenWish(
            name=fixture.name,
            owner_id=self._owners[fixture.owner],
            dialects=(self._dialect.name,),
            roles=None if fixture.roles is None else self._named(fixture.roles),
            scopes=fixture.scopes,
            mfa=fixture.mfa,
            lifetime=self._longest if fixture.state is FixtureState.EXPIRED else None,
        )
        credential, secret = await create_api_token(
            _ACTOR,
            self._local.deployment,
            self._organisation.id,
            wish,
            digester=self._local.digester,
            **self._at(self._age(fixture.state)),
        )
        await self._revoke_if_so(fixture.state, credential.id)
        self._note(fixture.key, secret=secret)

    async def _entity(self, fixture: EntityFixture) -> None:
        local, entity_id = self._local, fixture.id.format(slug=self._organisation.slug.upper())
        entity: Entity | None = await self._store.entity(EntityId(entity_id))
        if entity is None:
            entity = await create_entity(
                _ACTOR, self._store, entity_id, entity_id, fixture.type, **self._at()
            )
        for key in fixture.users:
            await link_user(_ACTOR, self._store, entity.id, self.users[key].id, **self._at())
        made = await reset_secret(
            _ACTOR,
            self._store,
            entity.id,
            None,
            dialects=(self._dialect.name,),
            sealer=local.sealer,
            digester=local.digester,
            **self._at(self._age(fixture.state)),
        )
        await self._revoke_if_so(fixture.state, made.credential.id)
        self._note(fixture.key, id=entity.id, type=entity.type, secret=made.secret)

    async def _revoke_if_so(self, state: FixtureState, credential_id: CredentialId) -> None:
        if state is FixtureState.REVOKED:
            await end_credential(_ACTOR, self._store, credential_id, "demo", **self._at())

    def _age(self, state: FixtureState) -> timedelta:
        """Say how long ago a secret was made that had the longest life and is in some state now."""
        grace = timedelta(days=GRACE_DAYS.of(self._organisation))
        match state:
            case FixtureState.GRACE:
                return self._longest + _MOMENT
            case FixtureState.EXPIRED:
                return self._longest + grace + _MOMENT
            case _:
                return _NOW

    def _at(self, ago: timedelta = _NOW) -> dict[str, Any]:
        """Give the instant of a verb, and dice."""
        return {"now": self._local.clock.now() - ago, "dice": self._local.dice}

    def _named(self, roles: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f"{self._dialect.name}:{role}" for role in roles)

    def _all_roles(self) -> frozenset[str]:
        every = self._local.dialects.values()
        return frozenset(f"{dialect.name}:{role.name}" for dialect in every for role in dialect.roles)

    def _note(self, key: str, **facts: Any) -> None:
        self.facts |= {f"{key}.{name}": value for name, value in facts.items()}
