"""Write glewlwyd's database and settings, and become it.

Usage: serve.py INSTALLED WORK PORT CLIENT_ID CLIENT_SECRET
"""

import base64
import gzip
import hashlib
import json
import os
import re
import sqlite3
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

DOCS = Path("usr/share/doc/glewlwyd")
ROUNDS = 1
SALT = b"sixteen-letters!"


def hashed(secret):
    """Write a secret as glewlwyd keeps it in SQLite."""
    derived = hashlib.pbkdf2_hmac("sha256", secret.encode(), SALT, ROUNDS)
    return f"{base64.b64encode(derived + SALT).decode()},{ROUNDS}"


def plugin():
    """Write the parameters of the plugin that issues tokens."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    kinds = ("code", "implicit", "password", "client", "refresh", "device")
    return {
        "url": "glwd",
        "jwt-type": "ecdsa",
        "jwt-key-size": "256",
        "key": private.decode(),
        "cert": public.decode(),
        "access-token-duration": 600,
        "refresh-token-duration": 1200,
        "code-duration": 60,
        "refresh-token-rolling": False,
        "scope": [],
        **{f"auth-type-{kind}-enabled": kind == "client" for kind in kinds},
    }


def fill(database, schema, client_id, secret):
    """Make the tables, the plugin and the client."""
    connection = sqlite3.connect(database)
    connection.executescript(schema)
    connection.execute(
        "INSERT INTO g_plugin_module_instance (gpmi_module, gpmi_name, gpmi_parameters) VALUES (?, ?, ?)",
        ("oauth2-glewlwyd", "glwd", json.dumps(plugin())),
    )
    ((parameters,),) = connection.execute("SELECT gcmi_parameters FROM g_client_module_instance")
    chosen = {**json.loads(parameters), "pbkdf2-iterations": ROUNDS}
    connection.execute("UPDATE g_client_module_instance SET gcmi_parameters = ?", (json.dumps(chosen),))
    client = connection.execute(
        "INSERT INTO g_client (gc_client_id, gc_confidential, gc_password) VALUES (?, 1, ?)",
        (client_id, hashed(secret)),
    ).lastrowid
    connection.execute(
        "INSERT INTO g_client_property (gc_id, gcp_name, gcp_value) VALUES (?, ?, ?)",
        (client, "authorization_type", "client_credentials"),
    )
    for name in ("read", "write"):
        connection.execute("INSERT INTO g_scope (gs_name, gs_password_required) VALUES (?, 0)", (name,))
        scope = connection.execute("INSERT INTO g_client_scope (gcs_name) VALUES (?)", (name,)).lastrowid
        connection.execute("INSERT INTO g_client_scope_client (gc_id, gcs_id) VALUES (?, ?)", (client, scope))
    connection.commit()
    connection.close()


def settings(installed, work, port):
    """Write its settings: the sample that comes with it, with what has to be otherwise."""
    modules = installed / "usr" / "lib" / "glewlwyd"
    text = gzip.decompress((installed / DOCS / "glewlwyd.conf.sample.gz").read_bytes()).decode()
    chosen = {
        "port": port,
        "external_url": f'"http://127.0.0.1:{port}"',
        "static_files_path": f'"{work}"',
        "log_level": '"ERROR"',
        "user_module_path": f'"{modules}/user"',
        "client_module_path": f'"{modules}/client"',
        "user_auth_scheme_module_path": f'"{modules}/scheme"',
        "plugin_module_path": f'"{modules}/plugin"',
    }
    for name, value in chosen.items():
        text = re.sub(rf"^{name} *=.*$", lambda _, line=f"{name}={value}": line, text, flags=re.MULTILINE)
    return text.replace("/var/cache/glewlwyd/", f"{work}/")


def main():
    """Prepare, and become the server."""
    installed, work, port, client_id, secret = Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]
    schema = gzip.decompress((installed / DOCS / "database" / "init.sqlite3.sql.gz").read_bytes()).decode()
    fill(work / "glewlwyd.db", schema, client_id, secret)
    config = work / "glewlwyd.conf"
    config.write_text(settings(installed, work, port))
    libraries = ":".join(str(folder) for folder in (installed / "usr" / "lib").glob("*-linux-gnu"))
    program = str(installed / "usr" / "bin" / "glewlwyd")
    os.execve(program, [program, "--config-file", str(config)], {**os.environ, "LD_LIBRARY_PATH": libraries})


if __name__ == "__main__":
    main()
