"""Settings of TLS: both files or none, and what they allow."""

from pathlib import Path

import pytest

from keyturn.config import load_settings
from keyturn.core.errors import ConfigError

KEY = "keyturn-master-key:not-looked-at-here"
ENOUGH = {"KEYTURN_PUBLIC_URL": "https://tokens.example", "KEYTURN_MASTER_KEY": KEY}
PAIR = {"KEYTURN_TLS__CERTIFICATE": "/tls/cert.pem", "KEYTURN_TLS__KEY": "/tls/key.pem"}


def load(environ, **options):
    """Read settings for serving."""
    return load_settings(flags={}, environ=environ, serving=True, **options)


def problems(environ):
    """Read settings that are wrong."""
    with pytest.raises(ConfigError) as caught:
        load(environ)
    return caught.value.problems


@pytest.mark.parametrize("name", PAIR)
def test_both_or_none(name):
    """A certificate without a key, or a key without a certificate, is told."""
    assert problems({**ENOUGH, name: "x"}) == ("tls.certificate and tls.key come together",)
    assert load(ENOUGH).tls.pair() is None
    assert load({**ENOUGH, **PAIR}).tls.pair() == (Path("/tls/cert.pem"), Path("/tls/key.pem"))


def test_off_loopback():
    """With TLS the public listener may be anywhere, the management listener may not."""
    load({**ENOUGH, **PAIR, "KEYTURN_HOST": "0.0.0.0"})
    [told] = problems({**ENOUGH, **PAIR, "KEYTURN_HOST": "0.0.0.0", "KEYTURN_MANAGEMENT_HOST": "0.0.0.0"})
    assert told.startswith("management_host: plain HTTP")
    [told] = problems({**ENOUGH, "KEYTURN_HOST": "0.0.0.0"})
    assert "tls.certificate" in told


def test_public_url_is_https():
    """With TLS an issuer does not begin with http."""
    [told] = problems({**ENOUGH, **PAIR, "KEYTURN_PUBLIC_URL": "http://localhost:8480"})
    assert told.startswith("public_url: should begin with https")


def test_paths_in_a_file(tmp_path):
    """A path in the configuration file is relative to the file's folder."""
    file = tmp_path / "keyturn.toml"
    file.write_text('[tls]\ncertificate = "cert.pem"\nkey = "/elsewhere/key.pem"\n')
    assert load(ENOUGH, config=file).tls.pair() == (tmp_path / "cert.pem", Path("/elsewhere/key.pem"))
