"""Keyturn's own claim."""

import msgspec

from keyturn.tokens.own import OwnClaim, decode_own_claim


def test_own_claim_comes_back():
    """The claim that is encoded is the claim that is decoded, with and without a family."""
    bare = OwnClaim(
        kind="mend.access", organisation_id="organisation-1", credential_id="credential-1", epochs=(1, 2, 3)
    )
    encoded = msgspec.to_builtins(bare)
    assert encoded == {"k": "mend.access", "o": "organisation-1", "c": "credential-1", "e": (1, 2, 3)}
    assert decode_own_claim(encoded) == bare
    family = OwnClaim(kind="a.b", organisation_id="o", credential_id="c", epochs=(0, 0, 0), family_id="f-1")
    assert decode_own_claim(msgspec.to_builtins(family)) == family
