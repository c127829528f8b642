"""What can be measured: each scenario is a value, and adding one is adding it to ``SCENARIOS``.

A scenario's lines are measured in turns, so that noise hits all of them; what is compared is always in one
scenario. Lines whose set-ups are equal share one server.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from bench import sight
from bench.figures import Round, Target
from bench.jobs import Golden, Introspection, Job, Renewal, Revocation, Token
from bench.ours import Keyturn
from bench.peer import Peer
from bench.server import Setup

CONNECTIONS = 64
ASK_TOKEN = Token()


class Tier(IntEnum):
    """In which runs a scenario is."""

    QUICK = 1
    DEFAULT = 2
    ALL = 3


@dataclass(frozen=True, slots=True)
class Beside:
    """What goes on at the same server while a line is measured."""

    job: Job
    connections: int


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table.

    Args:
        key: Its name there.
        server: How its server is set up.
        job: What one request is.
        connections: How many requests are under way at once.
        share: Sends this share of the rate that the line ``of`` reached in the same round, whether or not the
            server keeps up; 0 sends the next request as soon as there is an answer.
        of: The key of an earlier line of the scenario.
        beside: What else its server does meanwhile; its processor time is then counted too.
    """

    key: str
    server: Setup
    job: Job = ASK_TOKEN
    connections: int = CONNECTIONS
    share: float = 0.0
    of: str = ""
    beside: Beside | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two lines of one scenario, and what the second costs for each request of the first.

    Args:
        target: What the ratio has to reach.
        ours: The key of the line that is judged.
        theirs: The key of the line beside it.
        limit: Instead of a line: the raw signatures of this algorithm, as the machine makes them.
        p99: Whether latencies are compared, ours to theirs, in place of costs.
    """

    target: Target
    ours: str
    theirs: str = ""
    limit: str = ""
    p99: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """Lines that are measured in turns, and what they are compared to.

    Args:
        name: As ``--only`` has it.
        says: What it shows, for the report.
        starts: The key of a line whose server's start and memory are judged.
        inside: In place of lines: gives rounds by key, measured in this process; told how many, and their
            seconds.
        shares_cores: Whether servers and load run on all cores that either has.
    """

    name: str
    says: str
    lines: tuple[Line, ...]
    comparisons: tuple[Comparison, ...] = ()
    starts: str = ""
    tier: Tier = Tier.DEFAULT
    inside: Callable[[int, float], dict[str, list[Round]]] | None = None
    shares_cores: bool = False


def ratio(says: str, ours: str, theirs: str, must: float = 0.0, moonshot: float = 0.0) -> Comparison:
    """Compare two lines by processor time; without bars the ratio is only told."""
    bars = tuple((name, bar) for name, bar in (("must", must), ("moonshot", moonshot)) if bar)
    return Comparison(Target(says, bars), ours, theirs)


OURS, RSA = Keyturn(), Keyturn("RS256")
LIFE = Keyturn(apart="-life")
NODE, NODE_LIFE = Peer("oidc-provider"), Peer("oidc-provider", role="life")

TOKEN = Scenario(
    "token",
    "A token for a client's secret: Keyturn with everything on, its audit row on the disk before it answers, "
    "beside servers that store nothing.",
    (
        Line("keyturn ES256", OURS),
        Line("bare", Peer("bare", None)),
        Line("oidc-provider ES256", NODE),
        Line("net/http ES256", Peer("net-http")),
    ),
    (
        ratio("ES256 durable : warm oidc-provider", "keyturn ES256", "oidc-provider ES256", 3.0, 5.0),
        ratio("ES256 durable : bare form-to-JSON application", "keyturn ES256", "bare", 0.30, 0.45),
        ratio("ES256 durable : Go net/http + ES256", "keyturn ES256", "net/http ES256", 0.65, 1.0),
    ),
    starts="keyturn ES256",
    tier=Tier.QUICK,
)

ALGORITHMS = Scenario(
    "algorithms",
    "The same token, signed otherwise.",
    (
        Line("keyturn RS256", RSA),
        Line("oidc-provider RS256", Peer("oidc-provider", "RS256")),
        Line("keyturn EdDSA", Keyturn("EdDSA")),
        Line("oidc-provider EdDSA", Peer("oidc-provider", "EdDSA")),
    ),
    (
        ratio("RS256 durable : warm oidc-provider", "keyturn RS256", "oidc-provider RS256", 1.5, 2.5),
        Comparison(
            Target("RS256 durable : raw RSA-2048 signatures", (("must", 0.50), ("moonshot", 0.85))),
            "keyturn RS256",
            limit="RS256",
        ),
        ratio("EdDSA durable : warm oidc-provider", "keyturn EdDSA", "oidc-provider EdDSA"),
    ),
)

PEERS = Scenario(
    "peers",
    "The same token, by what else there is.",
    (
        Line("keyturn ES256", OURS),
        Line("fosite ES256", Peer("fosite")),
        Line("Authlib on Flask ES256", Peer("authlib")),
        Line("@node-oauth/oauth2-server ES256", Peer("node-oauth2-server")),
        Line("django-oauth-toolkit", Peer("django-oauth-toolkit", None)),
        Line("glewlwyd ES256", Peer("glewlwyd")),
    ),
    tuple(
        ratio(f"ES256 durable : {name}", "keyturn ES256", key)
        for name, key in (
            ("fosite, in memory", "fosite ES256"),
            ("Authlib on Flask with gunicorn, storing nothing", "Authlib on Flask ES256"),
            ("@node-oauth/oauth2-server, in memory", "@node-oauth/oauth2-server ES256"),
            ("django-oauth-toolkit, an opaque token in SQLite, secret unhashed", "django-oauth-toolkit"),
            ("glewlwyd, a row in SQLite", "glewlwyd ES256"),
        )
    ),
)


def _costly(peer: str, does: str, called: str) -> Scenario:
    """Put a peer that takes minutes to be had into a scenario of its own."""
    ours, theirs = "keyturn ES256", f"{peer} ES256"
    return Scenario(
        peer,
        f"The same token, by {does}.",
        (Line(ours, OURS), Line(theirs, Peer(peer))),
        (ratio(f"ES256 durable : {called}", ours, theirs),),
        tier=Tier.ALL,
    )


KEYCLOAK = _costly("keycloak", "Keycloak in production mode with its own file database", "Keycloak")
HYDRA = _costly(
    "hydra",
    "Ory Hydra with a row in SQLite that no answer waits for",
    "Hydra, a row in SQLite not waited for",
)

_ALIKE = "the same signature and row"
DIALECTS = Scenario(
    "dialects",
    "Every vendor's contract against the oauth2 exchange that signs and stores as much.",
    (
        Line("oauth2", OURS),
        Line(
            "oauth2 with a refresh token", OURS, Golden("oauth2", "client credentials with a refresh token")
        ),
        Line("oauth2 RS256", RSA),
        Line("endorsed, form", OURS, Golden("endorsed", "form")),
        Line("endorsed, JSON", OURS, Golden("endorsed", "JSON")),
        Line("vmware-csp, client", OURS, Golden("vmware-csp", "client credentials")),
        Line(
            "vmware-csp, API token",
            OURS,
            Golden("vmware-csp", "API token of a service account, without openid"),
        ),
        Line("vmware-csp, API token, with an ID token", OURS, Golden("vmware-csp", "API token")),
        Line("mend, login", OURS, Golden("mend", "login")),
        Line("sahamati, entity RS256", RSA, Golden("sahamati", "an entity token")),
    ),
    (
        ratio(f"endorsed form : oauth2, {_ALIKE}", "endorsed, form", "oauth2", 0.85, 0.95),
        ratio(f"endorsed JSON : oauth2, {_ALIKE}", "endorsed, JSON", "oauth2", 0.85, 0.95),
        ratio(f"vmware-csp client : oauth2, {_ALIKE}", "vmware-csp, client", "oauth2", 0.85, 0.95),
        ratio(f"vmware-csp API token : oauth2, {_ALIKE}", "vmware-csp, API token", "oauth2", 0.85, 0.95),
        ratio(
            "mend login : oauth2 with a refresh token, the same signature and rows",
            "mend, login",
            "oauth2 with a refresh token",
            *(0.85, 0.95),
        ),
        ratio(
            f"sahamati entity : oauth2 RS256, {_ALIKE}", "sahamati, entity RS256", "oauth2 RS256", 0.85, 0.95
        ),
    ),
)

REFRESH = Scenario(
    "refresh",
    "Refresh tokens, each connection following a family of its own: ours on the disk, theirs in memory.",
    (
        Line("keyturn refresh", LIFE, Renewal()),
        Line("mend refresh", LIFE, Golden("mend", "login", "refresh", "retVal.refreshToken", "refreshToken")),
        Line("oidc-provider refresh", NODE_LIFE, Renewal(rotates=False)),
        Line("oidc-provider refresh, rotating", NODE_LIFE, Renewal()),
    ),
    (
        ratio(
            "refresh, durable rotation : oidc-provider without rotation",
            *("keyturn refresh", "oidc-provider refresh", 3.0, 4.0),
        ),
        ratio(
            "refresh, durable rotation : oidc-provider rotating in memory",
            *("keyturn refresh", "oidc-provider refresh, rotating", 3.0, 4.0),
        ),
        ratio("mend refresh : oauth2 refresh", "mend refresh", "keyturn refresh", 0.85, 0.95),
    ),
)

INTROSPECTION = Scenario(
    "introspection",
    "Questions about good tokens: ours about JWTs, oidc-provider's about opaque tokens, for it refuses JWTs. "
    "Those that are asked about once were made by the same process just before.",
    (
        Line("keyturn introspection", LIFE, Introspection()),
        Line("keyturn introspection, each once", LIFE, Introspection(again=False)),
        Line("oidc-provider introspection", NODE_LIFE, Introspection()),
    ),
    (
        ratio(
            "introspection, asked about again : oidc-provider",
            *("keyturn introspection", "oidc-provider introspection", 3.0, 5.0),
        ),
        ratio(
            "introspection, first sight of what was made here : oidc-provider",
            *("keyturn introspection, each once", "oidc-provider introspection", 3.0, 5.0),
        ),
    ),
)

REVOCATION = Scenario(
    "revocation",
    "Access tokens given back, each once: ours JWTs and durably, oidc-provider's opaque and in memory.",
    (
        Line("keyturn revocation", LIFE, Revocation()),
        Line("oidc-provider revocation", NODE_LIFE, Revocation()),
    ),
    (ratio("revocation, durable : oidc-provider", "keyturn revocation", "oidc-provider revocation"),),
)

CLIENTS = Scenario(
    "clients",
    "Another client of many asks each time.",
    tuple(
        Line(f"{clients:,} clients", Keyturn(clients=clients), Token(crowd=True))
        for clients in (1_000, 100_000, 1_000_000)
    ),
    (
        ratio("100,000 clients : 1,000", "100,000 clients", "1,000 clients", 0.85, 0.95),
        ratio("1,000,000 clients : 1,000", "1,000,000 clients", "1,000 clients", 0.85, 0.95),
    ),
)

LATENCY = Scenario(
    "latency",
    "How long an answer takes when the server is not saturated, and when far too many ask at once.",
    (
        Line("saturated, 64 at once", OURS),
        Line("at 50 % of that rate", OURS, share=0.5, of="saturated, 64 at once"),
        Line("at 80 % of that rate", OURS, share=0.8, of="saturated, 64 at once"),
        Line("overload, 512 at once", OURS, connections=512),
    ),
    (ratio("512 at once : 64 at once, the same work", "overload, 512 at once", "saturated, 64 at once"),),
)

PASSWORD = Golden("oauth2", "password of a user")
LOGIN = Scenario(
    "login",
    "Passwords (argon2id on threads of its own) while machines ask for tokens, on one core.",
    (
        Line("password login, alone", OURS, PASSWORD, connections=2),
        Line("password login, 16 machines beside", OURS, PASSWORD, 2, beside=Beside(ASK_TOKEN, 16)),
        Line("token, 16 machines", OURS, connections=16),
        Line("token, 16 machines, 2 logins beside", OURS, connections=16, beside=Beside(PASSWORD, 2)),
    ),
    (
        Comparison(
            Target("p99 of tokens while passwords are checked : without", (("must", 3.0),), least=False),
            *("token, 16 machines, 2 logins beside", "token, 16 machines"),
            p99=True,
        ),
    ),
)

STORED = Scenario(
    "stored",
    "The same server over a store in memory: what it costs that an answer waits for its row on the disk.",
    (Line("durable", OURS), Line("not stored", Keyturn(stored=False))),
    (ratio("durable : not stored", "durable", "not stored", 0.75, 0.9),),
)

SIGHT = Scenario(
    "sight",
    "Proving an ES256 token in process: a signature alone, a token with every check, and again.",
    (),
    (
        # What performance.md asks as cost : cost is the inverse here, where more is better.
        ratio("bare verify : first sight of an ES256 token", sight.FIRST, sight.BARE, 1 / 1.4, 1 / 1.15),
        ratio("first sight : repeat", sight.REPEAT, sight.FIRST, 1 / 0.03, 1 / 0.02),
    ),
    inside=sight.rounds,
)

WORKERS = Scenario(
    "workers",
    "Two processes instead of one; load and servers share two cores, so only processor time can tell.",
    (
        Line("1 worker ES256", OURS),
        Line("2 workers ES256", Keyturn(workers=2)),
        Line("2 workers ES256, 64 each", Keyturn(workers=2), connections=2 * CONNECTIONS),
        Line("1 worker RS256", RSA),
        Line("2 workers RS256", Keyturn("RS256", workers=2)),
        Line("2 workers RS256, 64 each", Keyturn("RS256", workers=2), connections=2 * CONNECTIONS),
    ),
    (
        # What performance.md asks as time of two : time of one is the inverse here, where more is better.
        ratio(
            "one worker's time : two workers', ES256", "2 workers ES256", "1 worker ES256", 1 / 1.15, 1 / 1.05
        ),
        ratio("one worker's time : two workers', RS256", "2 workers RS256", "1 worker RS256", 1 / 1.05, 1.0),
        # Half the connections is half the batch, whoever has them; this is what a second process costs.
        ratio(
            "one worker's time : two workers' with as many connections each, ES256",
            *("2 workers ES256, 64 each", "1 worker ES256", 1 / 1.15, 1 / 1.05),
        ),
        ratio(
            "one worker's time : two workers' with as many connections each, RS256",
            *("2 workers RS256, 64 each", "1 worker RS256", 1 / 1.05, 1.0),
        ),
    ),
    # On one core two processes would only push each other out of its caches, which nobody has them for.
    shares_cores=True,
)

POSTGRES = Scenario(
    "postgres",
    "PostgreSQL instead of SQLite, on the server's core and with its processor time counted.",
    (Line("SQLite", OURS), Line("PostgreSQL", Keyturn(postgres=True))),
    (ratio("PostgreSQL : SQLite, one node, durable", "PostgreSQL", "SQLite", 0.6, 0.9),),
)

SCENARIOS = (
    *(TOKEN, ALGORITHMS, PEERS, DIALECTS, REFRESH, INTROSPECTION, REVOCATION),
    *(CLIENTS, LATENCY, LOGIN, STORED, SIGHT, WORKERS, POSTGRES, KEYCLOAK, HYDRA),
)
