"""``tenios campaign add`` and ``export``."""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
from attrs import asdict

from tenios_cli._campaign_output import entry_fields
from tenios_cli._errors import CommandError
from tenios_cli._options import json_option, number_options, sqlite_path, time_option
from tenios_cli._output import in_options, one_line

from ._shared import campaign, campaign_options, open_campaign, zone_option

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from tenios_campaign import Added, CustomerFile
    from tenios_cli._run import Run


def _column(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = [value.partition("=") for value in values]
    if wrong := [name for name, equals, column in pairs if not (name and equals and column)]:
        raise click.BadParameter(f"{wrong[0]!r} is not NAME=HEADER, such as number=Telefon.")
    return {name: column for name, _, column in pairs}


@campaign.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@campaign_options(
    click.option(
        "--attempts",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        metavar="N",
        help="Maximum attempts for each customer.",
    ),
    time_option(
        "--retry-after", "Wait after an attempt that did not reach the customer.", default="10m"
    ),
    time_option(
        "--agent-retry-after", "Wait after an attempt that did not reach an agent.", default="1m"
    ),
    number_options,
    click.option(
        "--column",
        "columns",
        multiple=True,
        callback=_column,
        metavar="NAME=HEADER",
        help="Header of the column for NAME, such as number=Telefon. Can be repeated.",
    ),
    zone_option("times in not_before"),
    click.option(
        "--allow-same-number",
        is_flag=True,
        help="Also add new keys with a number that the campaign already has.",
    ),
    click.option("--dry-run", is_flag=True, help="Check the file without adding anything."),
    json_option,
)
@click.pass_obj
def add(
    run: Run,
    /,
    file: str,
    *,
    url: str,
    name: str,
    region: str | None,
    allowed_regions: list[str] | None,
    allow_special_numbers: bool,
    columns: dict[str, str],
    timezone: str | None,
    **options: Any,
) -> None:
    """
    Add the customers in a CSV FILE.

    The first row names the columns: key, number, and optionally delay (seconds), not_before,
    agent_announcement and callback_config_id. Common English and German names are recognized.

    If a row is invalid, nothing is added. Keys that are already in the campaign are skipped.
    """
    path, dry_run, checked_in = sqlite_path(url), options["dry_run"], url
    with ExitStack() as stack:
        if path is not None and not path.exists():
            # A file with invalid rows must not leave an empty ledger behind.
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            checked_in = f"sqlite:///{folder}/dry-run.db"
            if dry_run:
                text = f"There is no campaign yet in {url}."
                run.say(one_line(text), event="no_campaign", ledger=url)
        opened = stack.enter_context(open_campaign(checked_in, name, create=True))
        from tenios_campaign import InvalidRowsError, SameNumberError, read_customers

        try:
            found = read_customers(
                file,
                region=region,
                allowed_regions=allowed_regions,
                allow_special_numbers=allow_special_numbers,
                zone=timezone,
                columns=columns,
            )
            _report_columns(run, found)
            if checked_in != url and not dry_run:
                opened.add(found, **options | {"dry_run": True})
                opened = stack.enter_context(open_campaign(url, name, create=True))
            added = opened.add(found, **options)
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}") from None
        except InvalidRowsError as error:
            for each in error.problems:
                # With the line first, the name of a column is not taken for that of an option.
                text = in_options(f"line {each.line}: {each.reason}")
                reason = text.partition(": ")[2]
                run.say(one_line(text), event="problem", line=each.line, reason=reason)
            is_are = "is" if error.count == 1 else "are"
            raise CommandError(
                f"Nothing was added, because {_rows(error.count)} of {file} {is_are} invalid"
                f"{_shown(error.count, len(error.problems))}."
            ) from None
        except SameNumberError as error:
            for keys in error.pairs:
                text = (
                    f"{keys[1]} has the same number as {keys[0]}, which is already in the campaign."
                )
                run.say(one_line(text), event="known_number", keys=keys)
            raise CommandError(
                f"Nothing was added, because {_rows(error.count)} of {file} would call a number "
                f"again under a new key{_shown(error.count, len(error.pairs))}. If this is "
                "intended, use --allow-same-number."
            ) from None
        _report(run, added, dry_run=dry_run)


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def _shown(count: int, shown: int) -> str:
    return "" if count == shown else f" (the first {shown} are shown)"


def _report_columns(run: Run, file: CustomerFile) -> None:
    renamed = [f"{name} is {column}" for name, column in file.columns.items() if name != column]
    texts = [f"Columns: {', '.join(renamed)}." if renamed else ""]
    texts += [f"Not used: {', '.join(file.unused)}." if file.unused else ""]
    if any(texts) and file.problem is None:
        fields = {"columns": file.columns, "unused": file.unused}
        run.say(one_line(" ".join(filter(None, texts))), event="columns", **fields)


def _report(run: Run, added: Added, *, dry_run: bool) -> None:
    for keys in added.same_number:
        text = f"{keys[0]} and {keys[1]} share a number. It will be called twice."
        run.say(one_line(text), event="same_number", keys=keys)
    customers = "1 customer" if added.new == 1 else f"{added.new} customers"
    done = f"{'Would add' if dry_run else 'Added'} {customers}."
    done += f" Already in the campaign: {added.known}." if added.known else ""
    done += f" Unchanged despite other data: {added.changed}." if added.changed else ""
    done += f" Repeated in the file: {added.repeated}." if added.repeated else ""
    fields = asdict(added, filter=lambda each, _: each.name != "same_number")
    run.say(one_line(done), event="added", **fields, dry_run=dry_run)


@campaign.command()
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@campaign_options(
    zone_option("all times", "that of --between, else this machine's"),
    click.option("--force", is_flag=True, help="Replace FILE if it exists."),
    json_option,
)
@click.pass_obj
def export(run: Run, file: str, *, url: str, name: str, timezone: str | None, force: bool) -> None:
    """
    Write the results to a CSV FILE; - is standard output.

    The results have all columns of the file that you added, and call_state, call_attempts,
    call_started and others.
    """
    encoding = "utf-8" if run.as_json else "utf-8-sig"  # Excel needs the byte order mark.
    with open_campaign(url, name) as opened:
        try:
            with (
                nullcontext(cast("TextIO", run.stdout.for_data()))
                if file == "-"
                else _replaced(Path(file), encoding, force=force)
            ) as output:
                if run.as_json:
                    lines = (json.dumps(entry_fields(each)) for each in opened.entries())
                    output.writelines(f"{line}\n" for line in lines)
                else:
                    opened.export(output, zone=timezone)
        except FileExistsError:
            raise CommandError(f"{file} exists. Use --force to replace it.") from None
        except OSError as error:
            raise CommandError(f"{file} cannot be written: {error.strerror}") from None


@contextmanager
def _replaced(path: Path, encoding: str, *, force: bool) -> Iterator[TextIO]:
    """Open a file that replaces *path* when it is complete."""
    if (exists := path.exists()) and not force:
        raise FileExistsError
    if exists and not path.is_file():  # such as a pipe, whose link cannot be resolved
        with path.open("w", encoding=encoding, newline="") as file:
            yield file
        return
    path = path.resolve()  # A link is kept.
    # Nobody else can read the folder, or plant a link in it.
    with tempfile.TemporaryDirectory(prefix=".tenios-", dir=path.parent) as folder:
        part = Path(folder, path.name)
        with part.open("w", encoding=encoding, newline="") as file:
            yield file
        if not exists:
            path.touch(exist_ok=force)  # Another process may have created it.
        shutil.copymode(path, part)
        part.replace(path)
