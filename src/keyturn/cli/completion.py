"""``keyturn completion``: the script by which a shell completes nouns, verbs and options."""

from enum import StrEnum
from typing import Annotated

import typer

from keyturn.cli.command import epilog

app = typer.Typer(rich_markup_mode=None, add_completion=False)


class Shell(StrEnum):
    """Whose script it is."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@app.command(
    epilog=epilog(
        "keyturn completion bash > ~/.local/share/bash-completion/completions/keyturn",
        "keyturn completion zsh > ~/.zfunc/_keyturn",
        "keyturn completion fish > ~/.config/fish/completions/keyturn.fish",
    )
)
def completion(shell: Annotated[Shell, typer.Argument(help="The shell.")]) -> None:
    """Print a shell's completion script; nothing is installed."""
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # as in root

    from keyturn.cli.root import COMPLETE

    print(get_completion_script(prog_name="keyturn", complete_var=COMPLETE, shell=shell.value))
