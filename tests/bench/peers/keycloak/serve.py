"""Write the realm that Keycloak imports, and become it.

Usage: serve.py INSTALLED WORK PORT CLIENT_ID CLIENT_SECRET
"""

import json
import os
import shutil
import sys
from pathlib import Path

SCOPES = ("read", "write")


def realm(client_id, secret):
    """Write a realm with one client and ES256 tokens."""
    return {
        "realm": "bench",
        "enabled": True,
        "sslRequired": "none",
        "accessTokenLifespan": 600,
        "defaultSignatureAlgorithm": "ES256",
        "clientScopes": [{"name": name, "protocol": "openid-connect"} for name in SCOPES],
        "clients": [
            {
                "clientId": client_id,
                "secret": secret,
                "enabled": True,
                "publicClient": False,
                "serviceAccountsEnabled": True,
                "standardFlowEnabled": False,
                "optionalClientScopes": list(SCOPES),
            }
        ],
        "components": {
            "org.keycloak.keys.KeyProvider": [
                {
                    "name": "bench",
                    "providerId": "ecdsa-generated",
                    "config": {"ecdsaEllipticCurveKey": ["P-256"], "priority": ["100"]},
                }
            ]
        },
    }


def main():
    """Prepare, and become the server."""
    installed, work, port, client_id, secret = Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]
    # It writes beside its own files: the run works on a copy that is gone with it.
    home = work / "keycloak"
    shutil.copytree(installed, home, symlinks=True)
    imported = home / "data" / "import"
    imported.mkdir(parents=True)
    (imported / "bench.json").write_text(json.dumps(realm(client_id, secret)))
    program = str(home / "bin" / "kc.sh")
    options = (
        "--http-enabled=true",
        "--http-host=127.0.0.1",
        f"--http-port={port}",
        "--hostname-strict=false",
    )
    heap = {"JAVA_OPTS_KC_HEAP": "-Xms512m -Xmx512m"}
    os.execve(
        program,
        [program, "start", "--import-realm", "--cache=local", "--db=dev-file", *options],
        {**os.environ, **heap},
    )


if __name__ == "__main__":
    main()
