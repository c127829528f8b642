"""What the store keeps: one frozen record for each thing.

Every record carries a ``version``, raised by each change and compared by each conditional write, and most
an ``epoch``: a number that every token carries and that ending, disabling or a password change raises, so
that a token below it is dead (design.md section 4). Epochs, not times: clocks differ and a second is long.
"""

from datetime import date, datetime
from typing import Any

import msgspec

from keyturn.core.life import Life
from keyturn.core.vocabulary import (
    Algorithm,
    ClientId,
    CredentialId,
    CredentialKind,
    EntityId,
    FamilyId,
    KeyId,
    MembershipId,
    OrganisationId,
    OwnerKind,
    ProjectId,
    TeamId,
    UserId,
)


class Organisation(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant.

    Args:
        slug: Immutable, never reused; names the issuer ``/o/{slug}``.
        api_key: An opaque alias of the organisation; no credential.
        settings: Per dialect, what the dialect's table declares: ``{"oauth2": {"lifetime": 600}}``; under
            ``policy`` what ``core/secret_policy.py`` reads.
        erased_at: When its deletion was complete: from then on only tombstones are left (TN-05).
    """

    id: OrganisationId
    slug: str
    name: str
    api_key: str
    created_at: datetime
    disabled: bool = False
    ended_at: datetime | None = None
    epoch: int = 0
    version: int = 0
    settings: dict[str, dict[str, Any]] = {}
    erased_at: datetime | None = None

    @property
    def usable(self) -> bool:
        """Whether anything may be issued under it."""
        return not self.disabled and self.ended_at is None

    def setting(self, dialect: str, name: str, default: Any) -> Any:
        """Give its value of a dialect's setting, or the default."""
        return self.settings.get(dialect, {}).get(name, default)


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """A machine that asks for tokens (RFC 6749 section 2).

    Args:
        id: The public ``client_id``; found across the deployment.
        dialects: The wire formats it may use.
        grants: The grant types it may use.
        scopes: All it may ever ask, in the order in which answers name them.
        audiences: The resources its tokens may be for; the first is the default (RFC 8707).
        public: It has no secret and only names itself (RFC 6749 section 2.1).
        rights: What it may do beyond asking for tokens, for example ``introspect``.
        max_lifetime_seconds: A ceiling of its own on access tokens; None for the organisation's.
        version: ``BUILT_IN`` for the one client of a contract that knows no others: it is in no store.
    """

    id: ClientId
    organisation_id: OrganisationId
    name: str
    created_at: datetime
    dialects: tuple[str, ...]
    grants: tuple[str, ...]
    scopes: tuple[str, ...]
    audiences: tuple[str, ...]
    public: bool = False
    rights: tuple[str, ...] = ()
    max_lifetime_seconds: int | None = None
    disabled: bool = False
    ended_at: datetime | None = None
    epoch: int = 0
    version: int = 0

    @property
    def usable(self) -> bool:
        """Whether it may be issued anything."""
        return not self.disabled and self.ended_at is None

    @property
    def built_in(self) -> bool:
        """Whether it is a contract's own and in no store."""
        return self.version == BUILT_IN


BUILT_IN = -1


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person, or a service user that stands for a program (design.md section 3, "Who a user is").

    Args:
        organisation_id: The home, which alone owns the password, MFA, e-mail address and user keys.
        name: The user name in its canonical form (PW-03); unique within the home, ended users included.
        display_name: The name as it was typed.
        service: A service user: it has no password, and Keyturn makes its address.
        email: In canonical form; unique in the deployment.
        email_verified_at: When its owner proved it; a service user's needs no proof.
        mfa_required: No way in without a second factor; routes without a passcode field refuse (PW-07).
        last_organisation_id: Where the user was last issued a token without naming an organisation.
    """

    id: UserId
    organisation_id: OrganisationId
    name: str
    display_name: str
    created_at: datetime
    service: bool = False
    email: str | None = None
    email_verified_at: datetime | None = None
    given_name: str = ""
    family_name: str = ""
    mfa_required: bool = False
    last_organisation_id: OrganisationId | None = None
    disabled: bool = False
    ended_at: datetime | None = None
    epoch: int = 0
    version: int = 0

    @property
    def usable(self) -> bool:
        """Whether anything may be issued to them."""
        return not self.disabled and self.ended_at is None

    def epoch_at(self, home: Organisation) -> int:
        """Give the epoch that tokens carry: it rises when tokens of the user end, or of their home (RV-04).

        Both only ever grow, so their sum tells of either, in tokens of other organisations too.
        """
        return self.epoch + home.epoch

    def account_at(self, home_slug: str) -> str:
        """Name the user as no other of the deployment is named: the e-mail address, or name and home."""
        return self.email or f"{self.name}@{home_slug}"


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """A user's place in an organisation, the home included: one row for each pair, kept when it ends.

    A membership that is given back is the same row with a higher epoch, so that no old token revives (RV-04).

    Args:
        roles: ``<dialect>:<role>``; which roles there are, and what they permit, is in the dialect's table.
        teams: The teams the user is in.
    """

    id: MembershipId
    user_id: UserId
    organisation_id: OrganisationId
    created_at: datetime
    roles: tuple[str, ...] = ()
    teams: tuple[TeamId, ...] = ()
    disabled: bool = False
    ended_at: datetime | None = None
    epoch: int = 0
    version: int = 0

    @property
    def usable(self) -> bool:
        """Whether the user may act in the organisation."""
        return not self.disabled and self.ended_at is None


class Team(msgspec.Struct, frozen=True, kw_only=True):
    """A team of an organisation; teams form a tree.

    Args:
        name: Unique among the living teams with the same parent, without case.
    """

    id: TeamId
    organisation_id: OrganisationId
    name: str
    created_at: datetime
    parent_id: TeamId | None = None
    ended_at: datetime | None = None
    version: int = 0


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A project: what roles and teams decide about.

    Args:
        name: Unique among the organisation's living projects.
        teams: Its members and those of every team above may see it.
        open: Every user of the organisation may see it.
    """

    id: ProjectId
    organisation_id: OrganisationId
    name: str
    created_at: datetime
    teams: tuple[TeamId, ...] = ()
    open: bool = False
    ended_at: datetime | None = None
    version: int = 0


class Entity(msgspec.Struct, frozen=True, kw_only=True):
    """A machine party that others know by a name of its own choosing, with users who look after its secret.

    Args:
        id: As others write it, for example ``FIU-SIMULATOR``; unique in the deployment.
        subject: A UUID: the ``sub`` of its tokens.
        type: The contract's word for what it is; opaque here.
        users: Who may read and reset its secret.
    """

    id: EntityId
    subject: str
    organisation_id: OrganisationId
    name: str
    type: str
    created_at: datetime
    users: tuple[UserId, ...] = ()
    disabled: bool = False
    ended_at: datetime | None = None
    epoch: int = 0
    version: int = 0

    @property
    def usable(self) -> bool:
        """Whether it may be issued anything."""
        return not self.disabled and self.ended_at is None


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """A long-lived credential of any kind; its secret is kept as a digest, unless it must be read again.

    Args:
        owner_id: The client, user or entity it proves.
        organisation_id: Where it is good: the owner's, but of a user's API token the one it was made for.
        scopes: A narrower set than the owner's; None for all the owner's.
        roles: Of an API token: a narrower set than the owner's roles; None for all the owner's.
        dialects: The wire formats it works in.
        lookup_hash: HMAC-SHA256 under ``pepper_id`` over the secret's SHA-256; of a public key its
            thumbprint (RFC 7638), under no pepper; of what is never looked up (password, TOTP device) the
            SHA-256 of its id.
        verifier: Of a password or recovery code: its argon2id hash in PHC form. Of a machine's secret that
            was imported under a slow hash, or is easily guessed: that hash, and it is not looked up.
        sealed: Of a TOTP device its seed, of a readable secret the secret, under the master key.
        mfa: Of an API token: its exchange needs a passcode of its owner's device. Of a password: it is too
            short to be the only factor.
        last_used_on: The day, not the instant: a write a day is enough to find dormant ones.
        woken_on: The day from which dormancy counts, where an operator enabled it again.
        succeeds: The credential that it was made to replace.
        public_jwk: Of a public key: the key itself, with the ``kid`` that its owner's assertions name.
        accepted_step: Of a TOTP device: the newest step that was accepted; it and all before it are spent.
            Of a public key: the second of the last restore; assertions up to then may be spent.
    """

    id: CredentialId
    kind: CredentialKind
    owner_id: str
    organisation_id: OrganisationId
    name: str
    life: Life
    dialects: tuple[str, ...]
    lookup_hash: bytes
    pepper_id: str
    scopes: tuple[str, ...] | None = None
    roles: tuple[str, ...] | None = None
    verifier: str | None = None
    sealed: bytes | None = None
    mfa: bool = False
    last_used_on: date | None = None
    woken_on: date | None = None
    succeeds: CredentialId | None = None
    public_jwk: dict[str, str] | None = None
    accepted_step: int | None = None
    epoch: int = 0
    version: int = 0


class RefreshFamily(msgspec.Struct, frozen=True, kw_only=True):
    """A grant that is renewed: one row however often it is renewed.

    Args:
        profile: The kind of access token that it renews.
        credential_id: What the grant was proved with.
        ends_at: The absolute end of life, however often it is renewed (RT-06).
        generation: Of the newest token; ``version`` counts it and everything else that changes.
        current_hash: Digest of the newest token.
        previous_hash: Digest of the one before it, while a lost answer may still be asked for again.
        rotated_at: When the newest replaced the previous.
        successor_sealed: What gives the newest token to whoever shows the previous one: a salt, or it sealed.
        client_id: The client it is bound to; of a contract without clients its built-in one.
        owner_kind: What its subject is.
        epochs: As ``OwnClaim`` has them, at birth: below the current ones it is dead.
    """

    id: FamilyId
    organisation_id: OrganisationId
    client_id: ClientId
    subject: str
    dialect: str
    profile: str
    credential_id: CredentialId
    scopes: tuple[str, ...]
    audiences: tuple[str, ...]
    created_at: datetime
    ends_at: datetime
    epochs: tuple[int, ...]
    current_hash: bytes
    pepper_id: str
    owner_kind: OwnerKind = OwnerKind.CLIENT
    generation: int = 0
    previous_hash: bytes | None = None
    rotated_at: datetime | None = None
    successor_sealed: bytes | None = None
    ended_at: datetime | None = None
    ended_why: str | None = None
    version: int = 0


class Revocation(msgspec.Struct, frozen=True, kw_only=True):
    """A token or a family that is dead before its time; kept until a day after it would have died anyway.

    Args:
        id: A token id or a family id.
        expires_at: When the last token it covers expires.
    """

    id: str
    organisation_id: OrganisationId
    revoked_at: datetime
    expires_at: datetime


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """A single-use thing that was used: a second claim loses (AC-03, TE-06, PW-06).

    Args:
        id: Names the use, for example ``assertion:<digest>``; unique in the deployment.
        expires_at: From then on the thing is refused for its age.
    """

    id: str
    organisation_id: OrganisationId
    expires_at: datetime


class SigningKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key of an issuer's ring.

    Args:
        issuer_id: The organisation whose ring it is in, or the name of a contract's shared issuer.
        public_jwk: The published form (RFC 7517), public members only.
        sealed_private: PKCS #8 under the master key.
        published_at: Every key set served from then on holds it.
        signs_from: The earliest instant it may sign: every cached key set holds it by then (TK-14).
        active_at: When it becomes the signer; None while it is the next one.
        retires_at: When its last token has expired; None while it signs or will sign.
        certificate: DER of its self-signed certificate, where the contract's key ids are thumbprints.
    """

    id: KeyId
    issuer_id: str
    algorithm: Algorithm
    public_jwk: dict[str, str]
    sealed_private: bytes
    published_at: datetime
    signs_from: datetime
    active_at: datetime | None = None
    retires_at: datetime | None = None
    certificate: bytes | None = None


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """A named secret of the deployment under the master key: a pepper, an organisation's audit key."""

    id: str
    purpose: str
    value: bytes
    created_at: datetime


class AuditEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened, before the store chains and seals it.

    Args:
        kind: Dotted, past tense: ``token.issued``, ``token.refused``, ``client.created``.
        actor: ``client:<id>``, ``operator:<os user>``, ``system:<job>`` or ``anonymous``.
        subject: The id of what it happened to; never a secret, name or address.
        outcome: ``ok`` or the public refusal code.
        reason: The private reason of a refusal.
        details: Plain facts: dialect, route, grant, key id, deprecated forms.
        personal: What may identify a person (address, presented names); sealed at rest.
    """

    at: datetime
    kind: str
    actor: str
    request_id: str
    outcome: str = "ok"
    organisation_id: OrganisationId | None = None
    subject: str | None = None
    reason: str | None = None
    details: dict[str, str] = {}
    personal: dict[str, str] = {}


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """An audit event as it is kept: one link of its writer's chain.

    Args:
        chain: The writing process.
        seq: From 1 within the chain, without gaps.
        prev_hash: The ``row_hash`` before it in the chain; 32 zero bytes for the first.
        row_hash: SHA-256 over ``prev_hash`` and every kept field, ``sealed_personal`` as sealed.
        sealed_personal: Under the organisation's key, so that an organisation can be shredded.
    """

    chain: str
    seq: int
    at: datetime
    kind: str
    actor: str
    request_id: str
    outcome: str
    organisation_id: OrganisationId | None
    subject: str | None
    reason: str | None
    details: dict[str, str]
    sealed_personal: bytes | None
    prev_hash: bytes
    row_hash: bytes
