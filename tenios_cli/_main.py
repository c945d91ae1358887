"""The group of all commands, which imports a command on use so that ``tenios --help`` is fast."""

from __future__ import annotations

import os
import re
import sys
from functools import partial
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import click

from ._exit_codes import EXIT_CODES
from ._run import Run

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

#: The short help of each command. The command ``x`` is the function ``x`` in
#: ``tenios_cli.commands.x``.
COMMANDS = {
    "call": "Start a callback to NUMBER and follow it.",
    "status": "Print the status of callback ID.",
    "watch": "Follow callbacks until all have ended.",
    "campaign": "Call a list of customers, a few at a time.",
    "numbers": "List the simulator's magic numbers and what each one does.",
    "contract": "Print the OpenAPI description of the TENIOS Callback API.",
    "doctor": "Check the settings and the connection to TENIOS.",
    "ledger": "List keys, resolve unknown outcomes and block numbers.",
    "simulate": "Run a simulator of TENIOS until Ctrl-C.",
}


class LazyGroup(click.Group):
    """Imports commands on use; see https://click.palletsprojects.com/en/stable/complex/."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(
            import_module(f".commands.{cmd_name}", __package__), cmd_name
        )
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete options, and names of commands without importing the commands."""
        from click.shell_completion import CompletionItem

        names = [name for name in COMMANDS if name.startswith(incomplete)]
        items = [CompletionItem(name, help=COMMANDS[name]) for name in names]
        return items + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
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

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse empty arguments, such as those of shell variables that are not set."""
        # Completion must not fail.
        for before, each in pairwise([] if ctx.resilient_parsing else ["", *args]):
            if re.fullmatch(r"--[\w-]+=", each):
                raise click.UsageError(f"The value of {each[:-1]} is empty.", ctx)
            if not each:
                what = f"The argument after {before}" if before.startswith("-") else "An argument"
                raise click.UsageError(f"{what} is empty.", ctx)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        invoke = super().invoke
        return ctx.obj.guard(invoke, ctx) if isinstance(ctx.obj, Run) else invoke(ctx)


@click.group(
    cls=LazyGroup, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="tenios-callback", prog_name="tenios")
def main() -> None:
    """
    Start TENIOS callbacks and follow them.

    TENIOS calls an agent, then a customer, and connects them. To try a command without an account,
    add --simulator.

    With an account, set the environment variables TENIOS_ACCESS_KEY (or TENIOS_ACCESS_KEY_FILE, a
    file that contains the key) and TENIOS_CALLBACK_CONFIG_ID, and check them with `tenios doctor`.

    Optional variables: TENIOS_ALLOWED_NUMBERS, TENIOS_ALLOWED_REGIONS,
    TENIOS_ALLOW_SPECIAL_NUMBERS, TENIOS_BASE_URL, TENIOS_INSECURE_HOSTS, TENIOS_LEDGER,
    TENIOS_OFFLINE, TENIOS_ONE_CALL_PER_NUMBER and TENIOS_REGION.
    """
