"""Every error Keyturn raises on purpose.

    KeyturnError
    ├── Refusal                 we understood, the answer is no
    │   ├── InvalidRequest      InvalidClient       InvalidGrant       InvalidScope
    │   ├── InvalidTarget       UnauthorizedClient  UnsupportedGrantType
    │   ├── PasscodeRequired    InvalidPasscode     InvalidToken       InsufficientScope   Conflict
    │   ├── MethodNotAllowed    TooLarge            UnsupportedMediaType    NotFound
    │   ├── PreconditionRequired                    PreconditionFailed      KeyReused
    │   ├── SlowDown            (429, with retry_after)
    │   └── Unavailable         (503, with retry_after: nothing was issued, try again)
    ├── Fault                   something of ours broke: ``server_error`` outside, a log line inside
    ├── ConfigError             we do not start; every problem at once
    └── OperatorError           a directory verb says no to an operator, in plain words
        └── NothingThere        Clash               NotPermitted

A ``Refusal`` carries a public ``code`` and a private ``reason``. Only the front desk catches one.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import msgspec

from keyturn.core.changes import Change
from keyturn.core.vocabulary import Code, OrganisationId, OwnerKind, Reason


class KeyturnError(Exception):
    """The root: catch this to catch what Keyturn raises on purpose."""


class Concern(msgspec.Struct, frozen=True):
    """Whom a refusal is about, for the audit trail only: known once something was located.

    Args:
        organisation_id: None of an administrator of the whole deployment.
        kind: What the subject is; ``admin`` for an admin token.
    """

    organisation_id: OrganisationId | None
    subject: str
    kind: OwnerKind | Literal["admin"] = OwnerKind.CLIENT

    @property
    def actor(self) -> str:
        """Name it as the audit trail names who acts."""
        return f"{self.kind}:{self.subject}"


class Refusal(KeyturnError):
    """A request was understood and the answer is no.

    Args:
        reason: For the audit trail and metrics only.
        description: Words that the caller may see; free of secrets and of other people's data.
        issues: One sentence per bad field, where a contract reports several at once.
        about: Whom it concerns; never told to the caller.
        consequence: What the refusal brings about, committed with its audit event (a replayed refresh
            token ends its family).
        tail: The last characters of a presented secret that is worth nothing, where a contract repeats them.

    ``echoes`` are what a caller sent that its contract repeats; ``errors`` are the bad fields, each with its
    place (``pointer``, ``parameter`` or ``header``) and ``detail``; whoever read them sets both.
    """

    code: ClassVar[Code]

    def __init__(
        self,
        reason: Reason,
        description: str | None = None,
        *,
        issues: Sequence[str] = (),
        about: Concern | None = None,
        consequence: tuple[Change, ...] = (),
        tail: str | None = None,
    ) -> None:
        """Keep the public words apart from the private reason."""
        super().__init__(f"{self.code}: {reason}")
        self.reason = reason
        self.description = description
        self.issues = tuple(issues) or ((description,) if description else ())
        self.about = about
        self.consequence = consequence
        self.tail = tail
        self.echoes: Mapping[str, Any] = {}
        self.errors: Sequence[Mapping[str, str | None]] = ()


class InvalidRequest(Refusal):
    """The request lacks a parameter, repeats one or is otherwise malformed (RFC 6749 section 5.2)."""

    code = Code.INVALID_REQUEST


class InvalidClient(Refusal):
    """Client authentication failed, whatever the cause (RFC 6749 section 5.2)."""

    code = Code.INVALID_CLIENT


class InvalidGrant(Refusal):
    """The presented grant is wrong, ended or somebody else's (RFC 6749 section 5.2)."""

    code = Code.INVALID_GRANT


class InvalidScope(Refusal):
    """A scope is unknown, malformed or more than what may be had (RFC 6749 section 5.2)."""

    code = Code.INVALID_SCOPE


class InvalidTarget(Refusal):
    """The resource is unknown or not for this client (RFC 8707 section 2)."""

    code = Code.INVALID_TARGET


class UnauthorizedClient(Refusal):
    """The client is genuine but may not use this grant (RFC 6749 section 5.2)."""

    code = Code.UNAUTHORIZED_CLIENT


class UnsupportedGrantType(Refusal):
    """Nobody here knows this grant type (RFC 6749 section 5.2)."""

    code = Code.UNSUPPORTED_GRANT_TYPE


class PasscodeRequired(Refusal):
    """The credential is genuine so far, but needs a passcode that did not come."""

    code = Code.PASSCODE_REQUIRED


class InvalidPasscode(Refusal):
    """The passcode is wrong, or was accepted before (RFC 6238 section 5.2)."""

    code = Code.INVALID_PASSCODE


class InvalidToken(Refusal):
    """A bearer token is missing, not ours, expired, revoked or of another kind (RFC 6750 section 3.1)."""

    code = Code.INVALID_TOKEN


class InsufficientScope(Refusal):
    """A bearer token is good, but not for this call (RFC 6750 section 3.1)."""

    code = Code.INSUFFICIENT_SCOPE


class Conflict(Refusal):
    """Something was changed while the call ran, or a name it wants is taken (RFC 9110 section 15.5.10)."""

    code = Code.CONFLICT


class PreconditionRequired(Refusal):
    """A change does not say which version it is for (RFC 6585 section 3)."""

    code = Code.PRECONDITION_REQUIRED


class PreconditionFailed(Refusal):
    """A change is for a version that is no longer the newest (RFC 9110 section 15.5.13)."""

    code = Code.PRECONDITION_FAILED


class KeyReused(Refusal):
    """An idempotency key came before with another request (draft-ietf-httpapi-idempotency-key-header)."""

    code = Code.KEY_REUSED


class NotFound(Refusal):
    """Nothing here by that name."""

    code = Code.NOT_FOUND


class MethodNotAllowed(Refusal):
    """The route exists, the method does not (RFC 9110 section 15.5.6)."""

    code = Code.METHOD_NOT_ALLOWED


class TooLarge(Refusal):
    """The body is larger than this route reads (RFC 9110 section 15.5.14)."""

    code = Code.TOO_LARGE


class UnsupportedMediaType(Refusal):
    """The declared content type is none that this route reads (RFC 9110 section 15.5.16)."""

    code = Code.UNSUPPORTED_MEDIA_TYPE


class SlowDown(Refusal):
    """Too many requests of this caller (RFC 6585 section 4).

    Args:
        retry_after: Whole seconds after which a retry may succeed, at least 1.
    """

    code = Code.SLOW_DOWN

    def __init__(self, reason: Reason, *, retry_after: int, about: Concern | None = None) -> None:
        """Refuse until ``retry_after`` seconds have passed."""
        super().__init__(reason, "too many requests", about=about)
        self.retry_after = retry_after


class Unavailable(Refusal):
    """The store, the clock or a key is not usable: nothing was issued (HT-09).

    Args:
        retry_after: Whole seconds after which a retry is worthwhile.
    """

    code = Code.TEMPORARILY_UNAVAILABLE

    def __init__(self, reason: Reason, *, retry_after: int = 1) -> None:
        """Refuse for now."""
        super().__init__(reason, "temporarily unavailable")
        self.retry_after = retry_after


class Fault(KeyturnError):
    """Something of ours is broken; the caller sees ``server_error`` and a request id."""


class ConfigError(KeyturnError):
    """The configuration is not usable; ``problems`` lists everything that is wrong with it."""

    def __init__(self, problems: Sequence[str]) -> None:
        """Collect all problems, so that an operator mends them in one go."""
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class OperatorError(KeyturnError):
    """A directory verb cannot do what was asked; the message is for the operator."""


class NothingThere(OperatorError):
    """What was named does not exist, or not for this actor: the same words (TN-02)."""


class Clash(OperatorError):
    """It cannot be done to what is there: it has ended, or a name is taken.

    Args:
        lost_race: Somebody else was first in the same moment.
    """

    def __init__(self, message: str, *, lost_race: bool = False) -> None:
        """Say it in plain words."""
        super().__init__(message)
        self.lost_race = lost_race


class NotPermitted(OperatorError):
    """This actor may not do that, wherever it is."""
