"""One body for all that is refused; clients read ``message``, and some match how it begins."""

from keyturn.core.shapes import Constant, Member, Shape
from keyturn.core.vocabulary import Code
from keyturn.wire.tables import BASIC_CHALLENGE, INVALID_TOKEN_CHALLENGE, RefusalRow, Refusals

REFUSALS = Refusals(
    shape=Shape(
        (
            Constant("metadata", None),
            Member("traceId", "request_id"),
            Member("cspErrorCode", "code"),
            Member("errorCode", "code"),
            Member("message", "text"),
            Constant("moduleCode", 340),
            Member("statusCode", "status"),
            Member("requestId", "request_id"),
        )
    ),
    rows={
        Code.INVALID_REQUEST: RefusalRow(400, "invalid_request", text="invalid_request: {description}"),
        Code.INVALID_CLIENT: RefusalRow(
            401, "invalid_client", BASIC_CHALLENGE, "invalid_client: Client authentication failed"
        ),
        Code.INVALID_GRANT: RefusalRow(
            400,
            "invalid_grant",
            text="invalid_grant: Invalid refresh token{tail}",
            mask=": xxxxx-{tail}",
        ),
        Code.INVALID_SCOPE: RefusalRow(400, "invalid_scope", text="invalid_scope: {description}"),
        Code.INVALID_TARGET: RefusalRow(400, "invalid_target", text="invalid_target: {description}"),
        Code.UNAUTHORIZED_CLIENT: RefusalRow(
            403, "unauthorized_client", text="unauthorized_client: The client may not do this"
        ),
        Code.UNSUPPORTED_GRANT_TYPE: RefusalRow(
            400, "unsupported_grant_type", text="unsupported_grant_type: {description}"
        ),
        Code.PASSCODE_REQUIRED: RefusalRow(
            400, "passcode_required", text="passcode_required: The API token needs a passcode"
        ),
        Code.INVALID_PASSCODE: RefusalRow(
            400, "invalid_passcode", text="invalid_passcode: The passcode is wrong or was used before"
        ),
        Code.INVALID_TOKEN: RefusalRow(
            401, "invalid_token", INVALID_TOKEN_CHALLENGE, "invalid_token: No valid access token"
        ),
        Code.INSUFFICIENT_SCOPE: RefusalRow(
            403, "access_denied", text="access_denied: Not allowed in this organization"
        ),
        Code.NOT_FOUND: RefusalRow(404, "not_found", text="not_found: {description}"),
        Code.METHOD_NOT_ALLOWED: RefusalRow(405, "method_not_allowed", text="method_not_allowed"),
        Code.CONFLICT: RefusalRow(409, "conflict", text="conflict: {description}"),
        Code.TOO_LARGE: RefusalRow(413, "too_large", text="too_large: {description}"),
        Code.UNSUPPORTED_MEDIA_TYPE: RefusalRow(
            400, "invalid_request", text="invalid_request: {description}"
        ),
        Code.SLOW_DOWN: RefusalRow(429, "too_many_requests", text="too_many_requests: Try again later"),
        Code.TEMPORARILY_UNAVAILABLE: RefusalRow(
            503, "unavailable", text="unavailable: Nothing was issued, try again"
        ),
        Code.SERVER_ERROR: RefusalRow(500, "server_error", text="server_error: Something broke on our side"),
    },
)
