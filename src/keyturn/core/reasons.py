"""What each private reason means, for an operator: what happened, and what would make the request pass.

Shown by ``keyturn explain``, the admin API and docs/operations/audit.md; never to the caller. A word in
capitals stands for what the reader puts there; ``explain`` fills in those that it knows.
"""

import msgspec

from keyturn.core.vocabulary import Reason


class Meaning(msgspec.Struct, frozen=True):
    """One reason in plain words: two sentences or a little more."""

    happened: str
    remedy: str


_SENT_WRONG = "The caller has to mend the request; the answer named what is wrong with it."
_LOG_IN_ANEW = "The caller has to get a new token with its credential; nothing can be done here."
_TRY_AGAIN = "Nothing was done; the caller should try again as the answer's Retry-After says."

MEANINGS: dict[Reason, Meaning] = {
    # --- what was sent ---
    Reason.MALFORMED: Meaning(
        "The request could not be read: its encoding, its JSON or its Authorization header is broken.",
        "The caller has to send what the contract describes; often a proxy or a hand-made header breaks it.",
    ),
    Reason.FIELD_MISSING: Meaning("A field that the contract requires was not sent.", _SENT_WRONG),
    Reason.FIELD_INVALID: Meaning("A field has a value that it cannot have.", _SENT_WRONG),
    Reason.FIELD_REPEATED: Meaning("A field was sent more than once.", _SENT_WRONG),
    Reason.FIELD_UNKNOWN: Meaning("A field was sent that does not exist or cannot be set.", _SENT_WRONG),
    Reason.CREDENTIAL_IN_QUERY: Meaning(
        "A field that belongs in the body stood in the URL, where proxies log it.",
        "The caller has to send it in the body. If it was a secret, replace it: "
        "`keyturn secret rotate CLIENT_ID --overlap 0s`.",
    ),
    Reason.TWO_AUTHENTICATIONS: Meaning(
        "Who is asking was said in two ways, for example by HTTP Basic and in the body.",
        "The caller has to use one of them.",
    ),
    Reason.MEDIA_TYPE: Meaning(
        "The Content-Type is none that this route reads.",
        "The caller has to send a Content-Type that the answer names.",
    ),
    Reason.METHOD: Meaning(
        "The route is there, but not for this HTTP method.",
        "The caller has to use a method that the answer's Allow header names.",
    ),
    Reason.TOO_LARGE: Meaning(
        "The body is larger than this route reads (64 KiB).",
        "The caller has to send less; no request of a contract comes near.",
    ),
    Reason.GRANT_UNKNOWN: Meaning(
        "The grant type is none that this route exchanges.",
        "The caller has to name another grant_type; the metadata of the issuer lists them.",
    ),
    # --- where ---
    Reason.UNKNOWN_ORGANISATION: Meaning(
        "The request names an organisation that there is not.",
        "Compare its slug, id or API key with `keyturn org list`; the caller may have the wrong URL.",
    ),
    Reason.ORGANISATION_ENDED: Meaning(
        "The organisation is disabled or was deleted.",
        "If it was disabled: `keyturn org enable SLUG`. A deleted one does not come back.",
    ),
    Reason.OTHER_ORGANISATION: Meaning(
        "What was presented belongs to another organisation than the request names.",
        "The caller has to name the organisation of its credential, or use one that was made there.",
    ),
    Reason.WRONG_DIALECT: Meaning(
        "Client or credential are good, but not for the token API that was called.",
        "Call the other API, or allow it: `keyturn client change CLIENT_ID --dialect NAME`; "
        "a secret works only in the dialects that there were for it when it was made.",
    ),
    # --- machines ---
    Reason.UNKNOWN_CLIENT: Meaning(
        "No client has the client id that was sent.",
        "Compare it with `keyturn client list SLUG`; the caller may have another deployment's.",
    ),
    Reason.CLIENT_DISABLED: Meaning(
        "The client is disabled, or has ended.",
        "If it was disabled: `keyturn client enable CLIENT_ID`. If it has ended, make another.",
    ),
    Reason.NO_CREDENTIAL: Meaning(
        "Nothing was sent that proves who is asking, or there is nothing by which it could be proved.",
        "The caller has to send a secret; if there is none yet: `keyturn secret create CLIENT_ID`.",
    ),
    Reason.WRONG_SECRET: Meaning(
        "The secret is none of those that are kept for whoever was named.",
        "See with `keyturn token inspect` what the caller has, and with `keyturn secret list CLIENT_ID` what "
        "is good; if it was lost: `keyturn secret rotate CLIENT_ID`.",
    ),
    Reason.SECRET_PENDING: Meaning(
        "The secret or key is the right one, but is not in use yet.",
        "Confirm it, as a TOTP device is confirmed by a code, or use the one before.",
    ),
    Reason.SECRET_DISABLED: Meaning(
        "The secret or key is the right one, but is disabled.",
        "`keyturn secret enable SECRET_ID`, if whoever disabled it agrees; for a public key "
        "`keyturn key enable KEY_ID`.",
    ),
    Reason.SECRET_EXPIRED: Meaning(
        "The secret or key is the right one, but has expired, by its own end or by a policy.",
        "Make a new one: `keyturn secret create CLIENT_ID`; `keyturn org show SLUG` shows the policy.",
    ),
    Reason.SECRET_DORMANT: Meaning(
        "The secret is the right one, but nobody used it for longer than the organisation's policy allows.",
        "`keyturn secret enable SECRET_ID`; `policy.dormant_after_days` is the time.",
    ),
    Reason.SECRET_ENDED: Meaning(
        "The secret or key was the right one and has ended: it was rotated, revoked or its overlap is over.",
        "The caller has to take the successor; `keyturn secret list CLIENT_ID` shows when and why. If "
        "nobody there sent it, it has leaked: it is worth nothing any more, but ask who has it.",
    ),
    Reason.GRANT_NOT_ALLOWED: Meaning(
        "The caller is genuine, but may not use this grant; passwords are off unless allowed.",
        "`keyturn client change CLIENT_ID --grant NAME`, with all it may have; for passwords "
        "`keyturn org set SLUG oauth2.password_grant true`.",
    ),
    Reason.RIGHT_MISSING: Meaning(
        "The client is genuine, but may not ask about tokens.",
        "`keyturn client change CLIENT_ID --right introspect`.",
    ),
    Reason.SCOPE_NOT_ALLOWED: Meaning(
        "A scope was asked for that the client, its secret or the grant does not have.",
        "Ask for less, or allow it: `keyturn client change CLIENT_ID --scope NAME`, with all it may have.",
    ),
    Reason.AUDIENCE_NOT_ALLOWED: Meaning(
        "A token was asked for a resource that the client may have none for.",
        "Name another, or allow it: `keyturn client change CLIENT_ID --audience URL`, with all it may have.",
    ),
    # --- signed assertions ---
    Reason.ASSERTION_MALFORMED: Meaning(
        "The client's assertion is no signed JWT as RFC 7523 describes it.",
        "Mend the client: algorithm ES256, EdDSA or RS256, and the claims iss, sub, aud, exp, jti.",
    ),
    Reason.ASSERTION_SIGNATURE: Meaning(
        "No registered public key of the client verifies its assertion.",
        "Compare the kid with `keyturn key list CLIENT_ID`; register the new one: "
        "`keyturn key add CLIENT_ID --jwk FILE`.",
    ),
    Reason.ASSERTION_CLIENT: Meaning(
        "The assertion is by the client's key, but iss and sub are not its client id.",
        "Mend the client: both are CLIENT_ID.",
    ),
    Reason.ASSERTION_AUDIENCE: Meaning(
        "The assertion is for somebody else: its aud is not this issuer.",
        "Mend the client: aud is the issuer; or allow the token endpoint: "
        "`keyturn org set SLUG oauth2.assertion_audience issuer_or_token_endpoint`.",
    ),
    Reason.ASSERTION_TIME: Meaning(
        "The assertion has expired, is not valid yet, or lives longer than five minutes.",
        "Mend the client's lifetime or its clock; compare ours with `keyturn clock show`.",
    ),
    Reason.ASSERTION_REPLAYED: Meaning(
        "The assertion was used before; each is good once.",
        "The client has to sign a new one with a new jti for each request, retries too. If it does, "
        "somebody else has one of its assertions.",
    ),
    # --- people ---
    Reason.UNKNOWN_USER: Meaning(
        "No user has this name or address, or nothing is known of the token's owner.",
        "Compare with `keyturn user list SLUG`; a user name counts only in the organisation it was made in.",
    ),
    Reason.USER_DISABLED: Meaning(
        "The user is disabled, or has ended.",
        "If disabled: `keyturn user enable USER`. One that has ended does not come back.",
    ),
    Reason.EMAIL_UNPROVED: Meaning(
        "The password is right, but the address that the user came by is not proved to be theirs.",
        "`keyturn user email-code USER`, send the code there, and confirm it; or log in by the user name.",
    ),
    Reason.NO_MEMBERSHIP: Meaning(
        "The user is genuine, but no member of the organisation.",
        "`keyturn membership add SLUG USER`, if they should be.",
    ),
    Reason.MEMBERSHIP_DISABLED: Meaning(
        "The user's membership is disabled, or has ended.",
        "`keyturn membership enable SLUG USER`, or add it again.",
    ),
    Reason.WRONG_PASSWORD: Meaning(
        "The password is not the user's.",
        "`keyturn user password USER` sets another, if they forgot it. Many of these are somebody's guesses.",
    ),
    Reason.PASSCODE_MISSING: Meaning(
        "Credential and user are good, but a second factor is due and no passcode came.",
        "The caller has to send the code of the user's device.",
    ),
    Reason.PASSCODE_WRONG: Meaning(
        "The passcode is none of the user's device or recovery codes.",
        "Compare the device's clock; if it is lost: `keyturn user totp remove USER`, then enrol another.",
    ),
    Reason.PASSCODE_REPLAYED: Meaning(
        "The passcode was right, but it or a later one was used already.",
        "Wait for the next code, up to 30 seconds.",
    ),
    Reason.PASSCODE_IMPOSSIBLE: Meaning(
        "The user must use a second factor, and this way in has no place for a passcode.",
        "Use a contract that asks for one, or a user key or API token; "
        "or take the duty away: `keyturn user change USER --no-mfa`.",
    ),
    # --- entities ---
    Reason.UNKNOWN_ENTITY: Meaning(
        "No entity has this id, or none that the caller can see.",
        "Compare it with `keyturn entity list SLUG`, letter case included.",
    ),
    Reason.ENTITY_DISABLED: Meaning(
        "The entity is disabled, or has ended.",
        "If disabled: `keyturn entity enable ENTITY_ID`. One that has ended does not come back.",
    ),
    Reason.ENTITY_NOT_LINKED: Meaning(
        "The user's role allows it, but this entity is not theirs to look after.",
        "`keyturn entity link ENTITY_ID USER`.",
    ),
    # --- tokens that were presented ---
    Reason.TOKEN_MISSING: Meaning(
        "The call needs a bearer token and none came.",
        "The caller has to send `Authorization: Bearer`; some proxies strip that header.",
    ),
    Reason.TOKEN_REJECTED: Meaning(
        "The bearer token is none of ours, was altered, has expired, or is of another kind.",
        "See with `keyturn token inspect` what it is. " + _LOG_IN_ANEW,
    ),
    Reason.TOKEN_ENDED: Meaning(
        "The token is ours and was good, but it was revoked, or what it rests on was ended or disabled.",
        "`keyturn token inspect` says by what. " + _LOG_IN_ANEW,
    ),
    Reason.SCOPE_MISSING: Meaning(
        "The token is good, but was not given the scope that this call needs.",
        "Ask for a token with the scope; for the admin API make one: "
        "`keyturn admin-token create --name NAME --scope NAME`.",
    ),
    Reason.PERMISSION_MISSING: Meaning(
        "The token is good, but no role of its owner permits this, or only the deployment may.",
        "`keyturn membership change SLUG USER --role NAME`, or use a token of the whole deployment.",
    ),
    Reason.NOT_VISIBLE: Meaning(
        "What was named does not exist, or not for this caller: the answer is the same.",
        "Compare the id; for projects see the teams with `keyturn membership show SLUG USER`.",
    ),
    # --- refresh tokens ---
    Reason.UNKNOWN_REFRESH_TOKEN: Meaning(
        "The refresh token is none that we gave, or one from before the last two.",
        _LOG_IN_ANEW,
    ),
    Reason.REFRESH_TOKEN_REPLAYED: Meaning(
        "A refresh token came again after its successor was in use: two have it. The whole family was ended.",
        _LOG_IN_ANEW
        + " If it keeps two processes on one token, give each its own; otherwise treat it as stolen.",
    ),
    Reason.REFRESH_TOKEN_EXPIRED: Meaning(
        "The grant behind the refresh token is older than the organisation lets one be renewed.",
        _LOG_IN_ANEW + " `refresh_lifetime_seconds` of the dialect is the time.",
    ),
    Reason.FAMILY_ENDED: Meaning(
        "The grant behind the token was ended: it was revoked, or a refresh token of it was replayed.",
        _LOG_IN_ANEW,
    ),
    Reason.FAMILY_OUTDATED: Meaning(
        "What the grant rests on was ended, disabled or changed since: secret, client, user or membership.",
        _LOG_IN_ANEW,
    ),
    Reason.OTHER_CLIENT: Meaning(
        "The token was issued to another client than the one that presents it.",
        "Each client has to use its own tokens; if this one should not have it, revoke it.",
    ),
    # --- changes ---
    Reason.NAME_TAKEN: Meaning("Something else has this name.", "Choose another name."),
    Reason.NOT_LIVING: Meaning(
        "What is asked does not go with what is there: it has ended, is ended first, or a name is taken.",
        "The answer said which; look it up and ask for what is possible.",
    ),
    Reason.VERSION_STALE: Meaning(
        "It was changed since the version that the caller had read.",
        "The caller has to read it again and send If-Match with the new ETag.",
    ),
    Reason.KEY_REUSED: Meaning(
        "The idempotency key came before, with another request.",
        "The caller has to take a new key for each thing it makes.",
    ),
    Reason.ANSWER_PENDING: Meaning(
        "The same request by the same idempotency key was done already, and its answer is not known.",
        "The caller has to look up what was made; a secret that nobody saw should be ended.",
    ),
    Reason.CURSOR_REJECTED: Meaning(
        "The cursor is of another list, other filters, another caller, or none of ours.",
        "The caller has to begin again without a cursor and to keep filters and order from page to page.",
    ),
    Reason.LOST_RACE: Meaning(
        "Somebody else changed the same thing in the same moment and was first; nothing was done.",
        "Look again and repeat.",
    ),
    # --- too much ---
    Reason.RATE_LIMIT: Meaning(
        "More requests came of this address, client or organisation than `limits` allow.",
        "The caller has to wait as Retry-After says and keep tokens until they expire; or raise `limits`"
        " in the configuration. Behind a proxy set `trusted_proxies`: otherwise all share one address.",
    ),
    Reason.LOCKED_OUT: Meaning(
        "Too many wrong passwords or passcodes came for this name; nothing is checked for a while.",
        "Wait as Retry-After says, or `keyturn lockout clear SLUG NAME`, if the owner says that it was them.",
    ),
    # --- ours ---
    Reason.STORE_UNAVAILABLE: Meaning(
        "The database could not be read or written; nothing was issued.",
        "See the disk, the database and the log. " + _TRY_AGAIN,
    ),
    Reason.CACHE_STALE: Meaning(
        "For a second nobody could confirm that what is in memory is still true; nothing was issued.",
        "See the disk, the database and the log. " + _TRY_AGAIN,
    ),
    Reason.KEY_UNAVAILABLE: Meaning(
        "There was no key to sign with, often because one was withdrawn and the next may not sign yet.",
        "`keyturn keys list --org SLUG` says from when on. " + _TRY_AGAIN,
    ),
    Reason.CLOCK_UNUSABLE: Meaning(
        "The clock is behind a time that was seen before; nothing is issued until it has caught up.",
        "Mend the clock, or `keyturn clock accept` if the time before was wrong.",
    ),
    Reason.HASHING_BUSY: Meaning(
        "More passwords were waiting to be checked than there is room for.",
        _TRY_AGAIN + " If it happens often, raise `passwords.threads` or find who is guessing.",
    ),
    Reason.FAULT: Meaning(
        "Something of ours broke; the caller saw server_error and the request id.",
        "The log has a line with this request id and the traceback; report it.",
    ),
}


def meaning_of(reason: str | None) -> Meaning | None:
    """Give what a row's reason means; None where it has none, or one of a newer version."""
    return MEANINGS.get(Reason(reason)) if reason in _KNOWN else None


_KNOWN = frozenset(reason.value for reason in Reason)
