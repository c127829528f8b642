"""The command ``keyturn`` itself: its nouns, found late, and what its exit codes mean."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from keyword import iskeyword
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from keyturn import __version__
from keyturn.cli.outcome import UNREADABLE, outcome
from keyturn.core.errors import OperatorError

EPILOG = """\b
Examples:
  keyturn serve --demo
  keyturn client create acme --name "nightly job" --scope read
  keyturn secret rotate CLIENT_ID --overlap 24h
  keyturn user list acme --profile prod --format json

\b
Exit codes:
  0  done
  1  the answer is no: what was asked cannot be done, or a check failed
  2  the command line cannot be read
  3  the configuration is not usable, or a server's token; every problem is listed
  4  the store, a key or the server is not available; what was not done is said
"""

NOUNS = {
    "init": "Make the data folder, the master key and the database.",
    "serve": "Serve tokens until stopped.",
    "migrate": "Look at the database's tables, or bring them up to date.",
    "backup": "Write the deployment to one sealed file, or check such a file.",
    "restore": "Bring a backup back.",
    "restored": "Say that the database was set back by its own tools.",
    "upgraded": "Say that no server of an earlier release is left.",
    "export": "Write an organisation to a sealed file.",
    "import": "Bring in an organisation's file, or owners and their secrets from another system.",
    "demo": "Show what a demo made.",
    "admin-token": "Admin tokens: who may use the admin API.",
    "org": "Organisations.",
    "user": "Users: people who are at home in an organisation.",
    "service-user": "Service users: users that stand for programs.",
    "membership": "Memberships: users' places in organisations.",
    "team": "Teams: a tree in each organisation.",
    "project": "Projects: what roles and teams decide about.",
    "user-key": "User keys: by which users' programs come in.",
    "api-token": "API tokens: long-lived, each for one organisation.",
    "entity": "Entities: machine parties with secrets that can be read again.",
    "client": "Clients: the machines that ask for tokens.",
    "secret": "Client secrets.",
    "lockout": "Names at which somebody guessed too often.",
    "token": "Tokens and secrets: what one is, and whether it is good.",
    "key": "Public keys of clients, instead of secrets.",
    "keys": "Signing keys.",
    "master-key": "The master key, under which everything in the store is sealed.",
    "explain": "Say what became of a request, and what would make it pass.",
    "audit": "The audit trail.",
    "upkeep": "What happens without a request: rotation, cleaning, checkpoints.",
    "notice": "Notices: who outside hears of leaks, expiries, keys and lockouts.",
    "clock": "The clock.",
    "doctor": "Look whether everything is in order, and say what to do.",
    "dialect": "Dialects: the token APIs that are spoken.",
    "config": "The configuration.",
    "completion": "Completion of these words by a shell.",
}
"""Every noun; the module of that name holds its ``app``."""

PANELS: Mapping[str, Sequence[str]] = {
    "Everyday": ("serve", "org", "token", "lockout", "audit", "explain", "notice"),
    "Machines": ("client", "secret", "key", "entity"),
    "People": ("user", "service-user", "membership", "team", "project", "user-key", "api-token"),
    "Signing keys and administrators": ("keys", "admin-token"),
}
"""How ``--help`` groups them; what stands in no panel is operation."""

REMOTE = frozenset(
    {
        "admin-token",
        "api-token",
        "audit",
        "client",
        "entity",
        "explain",
        "key",
        "keys",
        "lockout",
        "membership",
        "notice",
        "org",
        "project",
        "secret",
        "service-user",
        "team",
        "user",
        "user-key",
    }
)
"""The nouns that may go to a server (``--server``, ``--profile``); every other is about this machine."""


COMPLETE = "_KEYTURN_COMPLETE"
"""A shell's completion script sets it, and asks by it what could come next."""


def module_of(name: str) -> Any:
    """Import the module of a noun; one that Python keeps for itself has an underscore more."""
    module = f"{name}_" if iskeyword(name) else name.replace("-", "_")
    return import_module(f"keyturn.cli.{module}")


def panels() -> Iterator[tuple[str, Sequence[str]]]:
    """Give every noun once, by panel."""
    yield from PANELS.items()
    listed = {name for names in PANELS.values() for name in names}
    yield "Operation, on the deployment's own machine", [name for name in NOUNS if name not in listed]


class Nouns(TyperGroup):
    """Imports a noun when it is used, so that ``keyturn --help`` and completion do not wait for the store."""

    def __init__(self, **attributes: Any) -> None:
        """List the nouns without importing them."""
        super().__init__(**attributes)
        self.commands = {name: TyperCommand(name, help=text) for name, text in NOUNS.items()}

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002  # typer's signature
        """Write the nouns in their panels."""
        for panel, names in panels():
            with formatter.section(panel):
                formatter.write_dl([(name, NOUNS[name]) for name in names])

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find a noun and put the real command in the place of its name."""
        name, found, rest = super().resolve_command(ctx, args)
        if name is None or found is None:
            return name, found, rest
        if name not in REMOTE and _goes_to_a_server(rest):
            raise OperatorError(
                f"keyturn {name} works on the deployment's own machine only, not through a server"
            )
        return name, typer.main.get_command(module_of(name).app), rest


def _goes_to_a_server(words: Sequence[str]) -> bool:
    return any(word.partition("=")[0] in {"--server", "--profile"} for word in words)


root = typer.Typer(
    cls=Nouns, epilog=EPILOG, no_args_is_help=True, rich_markup_mode=None, add_completion=False
)


def _version(asked: bool) -> None:
    if asked:
        print(f"keyturn {__version__}")
        raise typer.Exit


@root.callback()
def keyturn(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Turn long-lived keys into short-lived access tokens.

    A command is about the deployment on this machine (--data, --config), or, where it takes them, about a
    server by its admin API (--server, --profile).
    """


def run(arguments: Sequence[str]) -> int:
    """Run one command and give its exit code; an error is told on standard error, without a traceback."""
    if COMPLETE in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]  # typer tells of it there

        completion_init()
    try:
        "".join(arguments).encode()
    except UnicodeEncodeError:  # no name of ours, and no database would take it
        print("keyturn: the command line is not UTF-8", file=sys.stderr)
        return UNREADABLE
    return outcome(partial(_main, arguments))


def _main(arguments: Sequence[str]) -> None:
    typer.main.get_command(root).main(list(arguments), prog_name="keyturn")
