"""What a token of one kind is: its header, its claims as a table, its lifetime and how it is signed."""

from collections.abc import Iterable, Mapping, Sequence

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
        lifetime_seconds: The default; the organisation's setting replaces it.
        lifetime_setting: The name of that setting, where a dialect has several kinds of tokens.
        max_lifetime_seconds: More than this no setting allows; keys stay published that long.
        refresh_lifetime_seconds: The absolute end of a refresh family, a default; None for no refresh tokens.
        always_refreshable: A refresh token comes with every access token; else with ``offline_access`` only.
        refresh_grace_seconds: How long a lost answer may be asked for again, a default; 0 to 60.
        refresh_mode: ``rotate`` (RFC 9700 section 4.14.2) or ``reuse``, a default.
        refresh_mode_setting: What the organisation's setting of it is called.
        algorithm: The default; the deployment's setting of that name replaces it.
        issuer: Template of the ``iss`` below ``public_url``, or a whole URL.
        shared_ring: Name of the key ring that all organisations share; None for each organisation's own.
        certificate: Each key of the shared ring is named by the thumbprint of a self-signed certificate.
    """

    kind: str
    dialect: str
    lifetime_seconds: int
    lifetime_setting: str = "lifetime_seconds"
    max_lifetime_seconds: int = 86_400
    refresh_lifetime_seconds: int | None = None
    always_refreshable: bool = False
    refresh_grace_seconds: int = 10
    refresh_mode: str = "rotate"
    refresh_mode_setting: str = "refresh_mode"
    claims: Shape = Shape(())
    header_type: str = "JWT"
    algorithm: Algorithm = Algorithm.ES256
    issuer: str = "/o/{organisation}"
    shared_ring: str | None = None
    certificate: bool = False

    @property
    def has_status(self) -> bool:
        """Whether its tokens may name a status list: one of their issuer, which is an organisation's own."""
        return self.shared_ring is None

    def issuer_for(self, slug: str, public_url: str) -> str:
        """Give the ``iss`` of an organisation's tokens; a template that is a whole URL stands by itself."""
        issuer = self.issuer.replace("{organisation}", slug)
        return public_url + issuer if issuer.startswith("/") else issuer


class RingPlan(msgspec.Struct, frozen=True):
    """Which key rings some profiles sign with.

    Args:
        algorithms: Of each shared ring, and under None of every organisation's own rings.
        certified: The shared rings whose keys have certificates.
    """

    algorithms: Mapping[str | None, Sequence[Algorithm]]
    certified: frozenset[str]

    @classmethod
    def of(cls, profiles: Iterable[TokenProfile]) -> "RingPlan":
        """Gather the rings of every profile that a deployment signs.

        Raises:
            ValueError: A profile wants certificates for the rings of single organisations.
        """
        used: dict[str | None, set[Algorithm]] = {None: set()}
        certified = set()
        for profile in profiles:
            used.setdefault(profile.shared_ring, set()).add(profile.algorithm)
            if profile.certificate:
                if profile.shared_ring is None:
                    raise ValueError(f"{profile.kind}: only the keys of a shared ring have certificates")
                certified.add(profile.shared_ring)
        return cls({name: sorted(algorithms) for name, algorithms in used.items()}, frozenset(certified))

    @property
    def shared(self) -> Sequence[str]:
        """The names of the shared rings."""
        return sorted(name for name in self.algorithms if name is not None)

    def algorithms_of(self, issuer_id: str) -> Sequence[Algorithm]:
        """Give the algorithms of an issuer: a shared ring's name, or an organisation's id."""
        return self.algorithms.get(issuer_id, self.algorithms[None])
