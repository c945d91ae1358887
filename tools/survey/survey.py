"""
Run the tools, generators and HTTP libraries of other languages, and write README.md's tables.

    survey.py {readers,generators,libraries} [NAME ...]

Without a name, runs all of them and writes the table. With names, only prints their rows. The
output of the programs goes to standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from artefacts import write
from support.faults import FaultServer, in_turn, respond, respond_raw

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.faults import Connection, Fault

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FILES = ("openapi.yaml", "openapi.json", "openapi-3.0.json")
OPENAPI_GENERATOR = "7.25.0"
JAR = ROOT / f"build/openapi-generator-cli-{OPENAPI_GENERATOR}.jar"
NEW_STATUS = "ON_HOLD"
CALLS = 2
STARTED = respond("200 OK", {"id": 10}, "Connection: keep-alive")
FOUND = respond("200 OK", {"status": NEW_STATUS}, "Connection: keep-alive")

MARK = re.compile(r"^\s*(.*?)\s*(?://|#) (careful|default)$")
Trial = dict[str, Any]  # an entry of readers.toml, generators.toml or libraries.toml
Row = tuple[str, ...]


def load(kind: str) -> list[Trial]:
    trials: list[Trial] = tomllib.loads((HERE / f"{kind}.toml").read_text(encoding="utf-8"))[
        "trial"
    ]
    return trials


def shell(
    command: str, folder: Path, *, version: str = "", report: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a command. Show its output if it fails or *report* is set."""
    environment = {
        "ROOT": str(ROOT),
        "BIN": str(Path(sys.executable).parent),
        "PYTHON": sys.executable,
        "NODE_BIN": str(ROOT / "tools/node_modules/.bin"),
        "OPENAPI_GENERATOR": str(JAR),
        "CARGO_TARGET_DIR": str(ROOT / "build/rust"),  # the crates are compiled once for all
        "VERSION": version,
    }
    ran = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    if ran.returncode or report:
        print(f"  {command}\n{(ran.stdout + ran.stderr)[-3000:]}", file=sys.stderr)
    return ran


def must(command: str, folder: Path, **options: Any) -> str:
    """Run a command that must succeed, and return its output."""
    ran = shell(command, folder, **options)
    if ran.returncode:
        sys.exit(f"{command.strip()} failed. See its output above.")
    return ran.stdout.strip()


def copy(kind: str, trial: Trial, folder: Path, chosen: str = "default") -> bool:
    """Copy a trial without the lines not *chosen*. Return whether it has such lines."""
    has_choice = False
    for name in trial.get("files", ()):
        source = HERE / kind / name
        for path in filter(Path.is_file, source.rglob("*")):
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [line for line in lines if not (mark := MARK.match(line)) or mark[2] == chosen]
            has_choice = has_choice or len(kept) < len(lines)
            target = folder / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("".join(kept), encoding="utf-8")
    return has_choice


def read(trial: Trial, folder: Path) -> Row:
    """Return the row of a tool that reads each file of the contract."""
    write(folder)
    shutil.copy(ROOT / "openapi.yaml", folder)
    copy("readers", trial, folder)
    version = trial.get("version") or must(trial["print_version"], folder)
    must(trial.get("install", "true"), folder, version=version)
    results = [shell(f"{trial['read']} {file}", folder, report=True) for file in FILES]
    return trial["name"], version, *("an error" if each.returncode else "yes" for each in results)


def generate(trial: Trial, folder: Path) -> Row:
    """Return the row of a generator, after running the client that it writes."""
    version = trial["version"]
    head = (trial["name"], version, f"`{trial['file']}`")
    if not JAR.exists():
        must(
            "mvn --quiet dependency:copy "
            f"-Dartifact=org.openapitools:openapi-generator-cli:{OPENAPI_GENERATOR} "
            f"-DoutputDirectory='{JAR.parent}'",
            folder,
        )
    write(folder)
    has_choice = copy("generators", trial, folder)
    generated = shell(trial.get("generate", "true"), folder, version=version)
    for line in (generated.stdout + generated.stderr).splitlines():
        if " WARN " in line:
            print(f"  {line}", file=sys.stderr)
    if generated.returncode:
        return *head, "is not generated", "-", "-"
    if "build" not in trial:
        return *head, "generated, not compiled", "not run", "not run"
    if shell(trial["build"], folder, version=version).returncode:
        return *head, "no", "-", "-"
    status, lost = call(trial["run"], folder)
    if has_choice:
        copy("generators", trial, folder, "careful")
        must(trial["build"], folder, version=version)
        for name, fault in FAULTS.items():
            sent = init_requests(trial["run"], folder, fault())
            assert sent == CALLS, f"{trial['name']} still repeats a request: {name}"
        lost += "; once with the lines marked `careful`"
    return *head, "yes", status, lost


def init_requests(command: str, folder: Path, fault: Fault) -> int:
    """Return the number of init requests that a program sends to a server with this fault."""
    with FaultServer(fault, keep_open=True) as server:
        must(f"{command} {server.url}", folder)
        return sum(b"callback_number" in body for body in server.bodies)


def call(command: str, folder: Path) -> tuple[str, str]:
    """Return the cells for an unknown status and for a lost kept-alive connection."""
    used: set[Connection] = set()
    reused = False

    def handle(connection: Connection) -> None:
        nonlocal reused
        if server.paths[-1] == "/callback/status":
            FOUND(connection)
        elif connection in used:
            reused = True
            raise ConnectionAbortedError
        else:
            used.add(connection)
            STARTED(connection)

    with FaultServer(handle, keep_open=True) as server:
        ran = shell(f"{command} {server.url}", folder)
        sent = server.paths.count("/callback/init")
    print(f"  {sent} init requests, kept connection {reused}: {ran.stdout}", file=sys.stderr)
    last = ran.stdout.strip().splitlines()[-1]
    error = last.removeprefix("error:")
    status = (
        "kept" if last == NEW_STATUS else f"`{last}`" if error == last else f"an error, `{error}`"
    )
    if not sent:
        return status, "no client"
    assert sent >= CALLS, ran.stdout + ran.stderr
    if sent > CALLS:
        return status, "**sends it again**"
    return status, "an error" if reused else "not met: a new connection for each request"


def close_on_reuse() -> Fault:
    """Return a fault that closes a connection when a second request arrives on it."""
    used: set[Connection] = set()

    def respond_or_close(connection: Connection) -> None:
        if connection in used:
            print("    on a kept connection", file=sys.stderr)
            raise ConnectionAbortedError
        used.add(connection)
        STARTED(connection)

    return respond_or_close


def once(status: str, *headers: str) -> Callable[[], Fault]:
    """Return a factory of faults that respond to the first request with this status."""
    return lambda: in_turn(respond_raw(status, b"", *headers), others=STARTED)


#: The faults by their name in the table. They respond normally to all other requests.
FAULTS: dict[str, Callable[[], Fault]] = {
    "kept connection lost": close_on_reuse,
    "307": once("307 Temporary Redirect", "Location: /moved"),
    "308": once("308 Permanent Redirect", "Location: /moved"),
    "408": once("408 Request Timeout"),
    "421": once("421 Misdirected Request"),
    "503 with `Retry-After: 0`": once("503 Service Unavailable", "Retry-After: 0"),
}


def repeat(trial: Trial, folder: Path) -> Row:
    """Return the row of a library, by default and with the settings that prevent repetitions."""
    version, by_default = repetitions(trial, folder, "default")
    _, anyway = repetitions(trial, folder, "careful")
    if anyway:
        sys.exit(f"{trial['name']} still repeats a request: {', '.join(anyway)}")
    return trial["name"], version, ", ".join(by_default) or "nothing", f"`{settings(trial)}`"


def settings(trial: Trial) -> str:
    """Return the settings that prevent repetitions, in one line."""
    [folder] = trial["files"]
    [program] = (HERE / "libraries" / folder).glob("[Tt]rial.*")
    marks = map(MARK.match, program.read_text(encoding="utf-8").splitlines())
    lines = [" ".join(mark[1].split()) for mark in marks if mark and mark[2] == "careful"]
    return " ".join(lines).removesuffix(",")


def repetitions(trial: Trial, folder: Path, chosen: str) -> tuple[str, list[str]]:
    """Return the version and the faults after which the program repeats a request."""
    print(f"  {chosen}", file=sys.stderr)
    copy("libraries", trial, folder, chosen)
    must(trial.get("build", "true"), folder)
    version, repeated = "", []
    for name, fault in FAULTS.items():
        with FaultServer(fault(), keep_open=True) as server:
            ran = must(f"{trial['run']} {server.url}/callback/init", folder)
        version, *results = ran.splitlines()
        print(f"  {name}: {len(server.bodies)} requests, {results}", file=sys.stderr)
        assert len(results) == CALLS, ran
        posts = [body for body in server.bodies if body == b"{}"]
        assert len(posts) >= CALLS, ran
        if len(posts) > CALLS:
            repeated.append(name)
    return version, repeated


KINDS: dict[str, tuple[Row, Callable[[Trial, Path], Row]]] = {
    "readers": (("tool", "version", *(f"`{file}`" for file in FILES)), read),
    "generators": (
        ("generator", "version", "file", "compiles", "unknown status", "connection lost"),
        generate,
    ),
    "libraries": (("library", "version", "repeats by default", "settings that prevent it"), repeat),
}


def write_table(head: Row, rows: list[Row]) -> None:
    """Replace the rows of the table with this head."""
    page = HERE / "README.md"
    top = line(head) + line(("---",) * len(head))
    before, found, rest = page.read_text(encoding="utf-8").partition(top)
    if not found:
        raise LookupError(f"{page} has no table with the head {line(head)}")
    while rest.startswith("|"):
        rest = rest.partition("\n")[2]
    page.write_text(before + top + "".join(map(line, rows)) + rest, encoding="utf-8")


def line(cells: Row) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0].strip())
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    head, run = KINDS[options.kind]
    rows = []
    for trial in load(options.kind):
        if options.names and trial["name"] not in options.names:
            continue
        print(trial["name"], file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder:
            rows.append(run(trial, Path(folder)))
    print(json.dumps(rows, indent=2))
    if not options.names:
        write_table(head, rows)


if __name__ == "__main__":
    main()
