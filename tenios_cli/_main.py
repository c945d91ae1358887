"""
The command's group. Imports a command's module only when that command is used, so that ``tenios
--help`` starts fast.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from ._exit_codes import EPILOG
from ._run import Run

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

#: The short help of each command, in the order of ``tenios --help``. A command is the function of
#: this name in the module of this name in ``tenios_cli.commands``.
COMMANDS = {
    "call": "Start a callback to NUMBER and show its progress.",
    "status": "Print the current status of callback ID.",
    "watch": "Show the progress of callbacks until all have ended.",
    "campaign": "Call the customers of a list back, a few at a time.",
    "numbers": "List the magic numbers and what the simulator does for each.",
    "contract": "Print the OpenAPI description of the TENIOS Callback API.",
    "doctor": "Check the settings and whether TENIOS can be reached.",
    "ledger": "Look at a ledger, resolve outcomes, and block or forget numbers.",
    "simulate": "Serve a simulator of TENIOS on this machine until Ctrl-C.",
}


class LazyGroup(click.Group):
    """
    A group that imports the modules of its commands on use
    (https://click.palletsprojects.com/en/stable/complex/).
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return [*COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; None if there is no such command."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(
            import_module(f".commands.{cmd_name}", __package__), cmd_name
        )
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command without importing any, or an option."""
        from click.shell_completion import CompletionItem

        names = [name for name in COMMANDS if name.startswith(incomplete)]
        items = [CompletionItem(name, help=COMMANDS[name]) for name in names]
        return items + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run the command and exit with its exit code; see Run."""
        main = partial(super().main, *args, **extra)
        # click writes completions as bytes, which a SafeStream does not take.
        if not standalone_mode or os.environ.get("_TENIOS_COMPLETE"):
            return main(standalone_mode=standalone_mode)
        run = Run()
        sys.exit(run.execute(partial(main, standalone_mode=False, obj=run)))

    def invoke(self, ctx: click.Context) -> Any:
        invoke = super().invoke
        return ctx.obj.guard(invoke, ctx) if isinstance(ctx.obj, Run) else invoke(ctx)


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tenios-callback", prog_name="tenios")
def main() -> None:
    """
    Have TENIOS call two people and connect them.

    Settings come from the environment: TENIOS_ACCESS_KEY (or TENIOS_ACCESS_KEY_FILE, the name of a
    file with the key in it), TENIOS_CALLBACK_CONFIG_ID, and optionally TENIOS_BASE_URL,
    TENIOS_REGION, TENIOS_ALLOWED_NUMBERS, TENIOS_ALLOWED_REGIONS, TENIOS_ALLOW_SPECIAL_NUMBERS,
    TENIOS_INSECURE_HOSTS, TENIOS_LEDGER and TENIOS_OFFLINE. Check them with `tenios doctor`.
    Without an account, add --simulator.
    """
