"""What a token of one kind is: its header, its claims as a table, its lifetime and how it is signed."""

import msgspec

from keyturn.core.shapes import Shape
from keyturn.core.vocabulary import Algorithm


class TokenProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of token; a route that accepts tokens names the profile it takes (TK-08).

    Args:
        kind: Unique in the deployment: ``<dialect>.<what>``, for example ``oauth2.access``.
        dialect: Whose settings apply.
        header_type: The ``typ`` of the JOSE header (RFC 9068 section 2.1 for ``at+jwt``).
        claims: The contract's own claims. ``iss``, ``sub``, ``aud``, ``iat``, ``exp``, ``jti`` and Keyturn's
            ``kt`` are in every token and are not repeated here.
        lifetime_seconds: The default; the organisation's setting of that name replaces it.
        max_lifetime_seconds: More than this no setting allows; keys stay published that long.
        refresh_lifetime_seconds: The absolute end of a refresh family, a default; None for no refresh tokens.
        always_refreshable: A refresh token comes with every access token; else with ``offline_access`` only.
        refresh_grace_seconds: How long a lost answer may be asked for again, a default; 0 to 60.
        refresh_mode: ``rotate`` (RFC 9700 section 4.14.2) or ``reuse``, a default.
        algorithm: The default; the deployment's setting of that name replaces it.
        issuer: Template of the ``iss`` below ``public_url``, or a whole URL.
        shared_ring: Name of the key ring that all organisations share; None for each organisation's own.
    """

    kind: str
    dialect: str
    lifetime_seconds: int
    max_lifetime_seconds: int = 86_400
    refresh_lifetime_seconds: int | None = None
    always_refreshable: bool = False
    refresh_grace_seconds: int = 10
    refresh_mode: str = "rotate"
    claims: Shape = Shape(())
    header_type: str = "JWT"
    algorithm: Algorithm = Algorithm.ES256
    issuer: str = "/o/{organisation}"
    shared_ring: str | None = None

    def issuer_for(self, slug: str, public_url: str) -> str:
        """Give the ``iss`` of an organisation's tokens; a template that is a whole URL stands by itself."""
        issuer = self.issuer.replace("{organisation}", slug)
        return public_url + issuer if issuer.startswith("/") else issuer
