"""Who may do what only few should: decide, mint, open a secret, look across organisations."""

import ast
from functools import cache
from pathlib import Path

from architecture.test_house import SOURCE, Function, modules, tree_of

# Where a secret is opened, and what for. Whoever adds a place says here why a digest will not do.
OPENS_A_SECRET = {
    "shown once to whoever it was made for": {
        *("cli/admin_token.py", "cli/api_token.py", "cli/entity.py", "cli/init.py", "cli/notice.py"),
        *("cli/secret.py", "cli/user.py", "cli/user_key.py", "admin/requests.py", "seeding.py"),
    },
    "written into an answer": {"wire/write.py", "wire/fields.py", "core/transforms.py", "core/totp.py"},
    "presented: read, for what it says of itself": {
        *("core/refresh_token.py", "tokens/inspection.py", "exchange/administrator.py", "exchange/bearer.py"),
        *("exchange/holders.py", "exchange/inspect.py", "exchange/leaks.py", "exchange/locate.py"),
        *("exchange/slow.py", "exchange/passcodes.py", "wire/ask.py", "directory/email_proof.py"),
        "directory/second_factor.py",
    },
    "presented: a signature to verify": {"exchange/assertions.py", "exchange/verify.py"},
    "presented: a key comes from it": {"exchange/successor.py"},
    "a password: normalised, hashed, judged": {"keys/passwords.py", "directory/passwords.py"},
    "sealed, or read as a hash that was made elsewhere": {
        *("directory/secrets.py", "directory/import_secrets.py"),
    },
    "handed to what it is for: a database, a mail server, a token of keys, another server, a child": {
        *("settings.py", "outward/mail.py", "keys/pkcs11_token.py", "cli/link.py", "cli/handover.py"),
    },
    "a master key or a passphrase of a file": {
        *("app.py", "keys/files.py", "keys/master_file.py", "keys/streams.py", "transfers.py"),
    },
}

# Whose work spans organisations; everybody else is given a store of one.
LOOKS_ACROSS = {
    "the port, and who satisfies it": {"core/store_ports.py", "storage/stores.py"},
    "whoever puts the parts together": {"app.py", "telling.py"},
    "the deployment's own: its keys, peppers and trail": {
        *("keys/audit_key.py", "keys/peppers.py", "keys/promises.py", "keys/ring.py"),
        *("directory/audit.py", "directory/audit_export.py", "directory/audit_search.py"),
        *("directory/clock.py", "directory/master_key.py", "directory/upgrading.py"),
    },
    "administrators of the deployment": {
        *("directory/admin_tokens.py", "directory/notices.py", "directory/organisations.py"),
        *("directory/explain.py", "directory/deletion.py", "directory/restoring.py"),
        *("directory/transfer.py", "directory/import_plan.py", "directory/imports.py"),
        *("web/administration/ground.py", "web/verbs.py"),
    },
    "a person, who may be a member of several": {
        *("directory/api_tokens.py", "directory/memberships.py", "directory/users.py"),
    },
    "upkeep": {"upkeep/checkpoints.py", "upkeep/jobs.py", "upkeep/master_key.py", "upkeep/notices.py"},
    "what anybody may have found, and nobody knows whose it is": {
        *("exchange/inspect.py", "exchange/leaks.py", "web/leaks.py"),
    },
}


@cache
def calls(path: Path) -> frozenset[str]:
    """Name what a file calls, without what it is an attribute of."""
    called = (node.func for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call))
    return frozenset(ast.unparse(each).rpartition(".")[2] for each in called)


def callers(name: str) -> set[str]:
    """List the files of the source that call something of a name."""
    return {path.relative_to(SOURCE).as_posix() for path in modules(SOURCE) if name in calls(path)}


def named_in(name: str) -> set[str]:
    """List the files of the source that mention a name."""
    return {
        path.relative_to(SOURCE).as_posix()
        for path in modules(SOURCE)
        for node in ast.walk(tree_of(path))
        if (isinstance(node, ast.Name) and node.id == name)
        or (isinstance(node, ast.ClassDef) and node.name == name)
    }


def first_argument(name: str) -> str:
    """Say what a function of minting wants first."""
    tree = tree_of(SOURCE / "exchange" / "minting.py")
    made = next(each for each in tree.body if isinstance(each, Function) and each.name == name)
    return ast.unparse(made.args.args[0].annotation or ast.Constant(None))


def test_only_policy_decides():
    """Nobody else makes a decision."""
    assert callers("Decision") == {"exchange/policy.py"}


def test_minting_takes_only_a_decision():
    """What is minted was decided, and only the road that all exchanges take has it minted."""
    assert (first_argument("draft"), first_argument("mint")) == ("Decision", "Draft")
    assert first_argument("mint_id_token") == "Decision"
    assert callers("Draft") == {"exchange/minting.py"}
    assert callers("mint") | callers("mint_id_token") | callers("draft") == {"exchange/road.py"}


def test_who_opens_a_secret():
    """A secret is opened in few places, and each is for something."""
    listed = set().union(*OPENS_A_SECRET.values())
    assert callers("reveal") == listed
    assert len(listed) == sum(map(len, OPENS_A_SECRET.values()))


def test_who_looks_across_organisations():
    """TN-02: a store of all organisations is given only to whoever's work spans them."""
    listed = set().union(*LOOKS_ACROSS.values())
    assert named_in("DeploymentStore") == listed
    assert len(listed) == sum(map(len, LOOKS_ACROSS.values()))
