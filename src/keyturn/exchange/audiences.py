"""Whom a client's signed assertion must be meant for: this issuer (TE-06)."""

from keyturn.core.profile import TokenProfile
from keyturn.core.requests import Located, PresentedCredential
from keyturn.core.vocabulary import CredentialKind
from keyturn.exchange.services import Services


def assertion_audiences(
    presented: PresentedCredential, located: Located, profile: TokenProfile, services: Services
) -> tuple[str, ...]:
    """Say what an assertion for a request may name as its audience: the issuer, and nothing else by default.

    An organisation may also let the token endpoint's URL through, for clients that follow RFC 7523 to the
    letter; docs/decisions/0012-private-key-jwt.md says what that costs. What is no assertion names none.
    """
    if located.view is None or presented.kind is not CredentialKind.PUBLIC_KEY:
        return ()
    organisation = located.view.organisation
    issuer = profile.issuer_for(organisation.slug, services.public_url)
    token_path = services.token_paths.get(profile.dialect)
    if (
        organisation.setting(profile.dialect, "assertion_audience", "issuer") == "issuer"
        or token_path is None
    ):
        return (issuer,)
    return (issuer, services.public_url + token_path.replace("{organisation}", organisation.slug))
