"""Base64url without padding, in its one canonical spelling (RFC 7515 section 2)."""

import binascii

from msgspec import Raw

_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")


def encode(data: bytes | Raw) -> bytes:
    """Encode bytes without padding."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=")


def decode(text: bytes) -> bytes:
    """Decode the canonical spelling and no other.

    Raises:
        ValueError: Padding, whitespace, another alphabet, trailing bits or a wrong length.

    Spec: RFC 4648 section 3.5.
    """
    data = binascii.a2b_base64(text.translate(_FROM_URL) + b"==")
    # Decoders forgive much. Whatever they forgave, writing it again gives the one spelling that is accepted,
    # so a revoked token cannot live on under another (TK-06).
    if encode(data) != text:
        raise ValueError("not canonical base64url")
    return data
