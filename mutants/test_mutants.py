"""
The contract, changed in each way that matters; and which of the checks notice.

That generate-check notices says only that somebody forgot `make generate`. So each mutant's client is generated, and then some
other check has to notice: one that stands for what a user would notice.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent
CONTRACT = (ROOT / "openapi.yaml").read_text()
COPIED = ("conformance", "consumers", "generated", "generator-templates", "scripts", "tenios_ext", "tests")
ALONE = ("CHANGELOG.md", "generator-config.yaml", "package.json", "pyproject.toml", "redocly.yaml", ".spectral.yaml")


class Mutant(NamedTuple):
    """
    A change of the contract.

    Attributes:
        name: What is changed, in words.
        pattern: Where: a regular expression that is found once, over lines.
        replacement: By what.
        everywhere: Whether all checks must notice it, not just any.
    """

    name: str
    pattern: str
    replacement: str
    everywhere: bool = False


MUTANTS = [
    Mutant("enum value renamed", r"^        - CONNECTED\n", "        - JOINED\n", everywhere=True),
    Mutant("required field renamed", r"callback_number(?=[,:])", "callback_nummer", everywhere=True),
    Mutant("path renamed", r"/callback/status:", "/callback/state:", everywhere=True),
    Mutant("enum value removed", r"^        - CALL_B_FAILED\n", ""),
    Mutant("enum value added", r"^        - DISCONNECTED\n", "        - DISCONNECTED\n        - ON_HOLD\n"),
    Mutant("required field made optional", r"callback_number, delay\]", "callback_number]"),
    Mutant("optional field made required", r"callback_number, delay\]", "callback_number, delay, agent_announcement]"),
    Mutant("optional field renamed", r"agent_announcement:", "announcement:"),
    Mutant("optional field removed", r"^        dtmf_key_to_trigger_customer_call:\n(?:          .*\n)+", ""),
    Mutant(
        "field added to a closed object",
        r"^        delay:\n",
        "        colour:\n          type: string\n        delay:\n",
    ),
    Mutant(
        "type of the delay changed", r"type: integer\n          format: int32\n          minimum: 0", "type: string"
    ),
    Mutant("type of the id changed", r"type: integer\n      format: int64\n      minimum: 0", "type: string"),
    Mutant(
        "id in the answer renamed",
        r"required: \[id\]\n      properties:\n        id:",
        "required: [callback]\n      properties:\n        callback:",
    ),
    Mutant(
        "status in the answer renamed",
        r"required: \[status\]\n      properties:\n        status:",
        "required: [state]\n      properties:\n        state:",
    ),
    Mutant("status in the answer made optional", r"      required: \[status\]\n", ""),
    Mutant(
        "error code renamed",
        r"required: \[error_code, error_message\]\n      properties:\n        error_code:",
        "required: [code, error_message]\n      properties:\n        code:",
    ),
    Mutant(
        "fields of an error made an object",
        r"          type: array\n          items:\n            type: string\n",
        "          type: object\n",
    ),
    Mutant("pattern of numbers removed", r"          pattern: \^\\\+.*\n", ""),
    Mutant("pattern of keys widened", r"\[0-9\*#\]\$", "[0-9A-D*#]$"),
    Mutant(
        "objects opened",
        r"additionalProperties: false(?=\n      required: \[access_key, callback)",
        "additionalProperties: true",
    ),
    Mutant("lower bound of the delay removed", r"          minimum: 0\n          example: 30", "          example: 30"),
    Mutant("size of the delay removed", r"          format: int32\n", ""),
    Mutant("method changed", r"/callback/status:\n    post:", "/callback/status:\n    put:"),
    Mutant(
        "content type changed", r"(InitCallback:\n(?:.*\n){3})        application/json:", r"\1        application/xml:"
    ),
    Mutant("success made 201", r"'200':(?=\n          \$ref: '#/components/responses/CallbackInitialized')", "'201':"),
    Mutant(
        "refusal undocumented",
        r"        '400':\n          \$ref: '#/components/responses/BadRequest'\n(?=(?:.*\n)+  /callback/status)",
        "",
    ),
    Mutant("operation renamed", r"operationId: initCallback", "operationId: startCallback"),
    Mutant("link removed", r"      links:\n        statusOfThisCallback:\n          \$ref: .*\n", ""),
    Mutant("link made to ask about another id", r"id: \$response\.body#/id", "id: 999999"),
    Mutant("server moved", r"https://api\.tenios\.com", "https://api.tenios.example"),
    Mutant("key no longer marked as a secret", r"      format: password\n", ""),
    Mutant("example broken", r"delay: 30\n(?=            everyField)", "delay: soon\n"),
]


class Check(NamedTuple):
    """
    Something that may notice.

    Attributes:
        name: As in the report.
        command: What fails then, in a copy of the repository.
    """

    name: str
    command: list[str]

    def notices(self, copy: Path) -> bool:
        """Whether it fails."""
        paths = [copy / "generated", copy, copy / "tests"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
        ran = subprocess.run(self.command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
        # A check that cannot run has noticed nothing.
        assert "command not found" not in ran.stderr
        shown = ran.stdout + ran.stderr
        assert ran.returncode in {0, 1, 2} or "ImportError while loading conftest" in shown, shown
        return ran.returncode != 0


def pytest_on(*paths: str) -> list[str]:
    return [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *paths]


DRIFT = Check("drift", [sys.executable, "scripts/generate.py", "--check"])
# Any change must be announced by the version; this one is, as a small one, so that only what breaks clients is noticed.
GATE = Check("gate", [sys.executable, "scripts/compatible.py", "--base", str(ROOT / "openapi.yaml"), "announced.yaml"])
CONFORMANCE = Check("conformance", pytest_on("tests/conformance"))
CONTRACT_TESTS = Check(
    "contract",
    pytest_on(
        "tests/contract/test_openapi.py",
        "tests/simulator/test_schemathesis.py",
        "tests/contract/test_generated_models.py",
        "tests/contract/test_prism.py",
    ),
)
GO = Check("Go client", [*pytest_on("consumers"), "-k", "go and not simulator and not prism"])
# From the fastest to the slowest.
OTHERS = [CONFORMANCE, GATE, GO, CONTRACT_TESTS]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What the checks need of the repository."""
    for name in COPIED:
        made = shutil.ignore_patterns("__pycache__", "build", "target", "node_modules")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=made)
    for name in ALONE:
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    return tmp_path


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_noticed(mutant: Mutant, copy: Path, record_property: Callable[[str, object], None]) -> None:
    """Somebody notices; and whoever is supposed to, where that is everybody."""
    changed, count = re.subn(mutant.pattern, mutant.replacement, CONTRACT, flags=re.MULTILINE)
    assert count >= 1
    assert changed != CONTRACT
    (copy / "openapi.yaml").write_text(changed)
    (copy / "announced.yaml").write_text(
        re.sub(r"^(  version: \d+\.\d+\.)\d+", r"\g<1>999", changed, flags=re.MULTILINE)
    )
    noticed: list[str] = []
    if DRIFT.notices(copy):
        noticed.append(DRIFT.name)
        subprocess.run(
            [sys.executable, "scripts/generate.py", "--root", str(copy)], cwd=ROOT, check=False, capture_output=True
        )
    subprocess.run([sys.executable, "scripts/artefacts.py", "build/contract"], cwd=copy, check=True)
    for check in OTHERS:
        if check.notices(copy):
            noticed.append(check.name)
            if not mutant.everywhere:
                break
    record_property("mutant", mutant.name)
    record_property("noticed by", ", ".join(noticed) or "NOBODY")
    assert set(noticed) - {DRIFT.name}
    if mutant.everywhere:
        assert noticed == [DRIFT.name, *(check.name for check in OTHERS)]


def test_nothing_is_noticed_where_nothing_is_changed(copy: Path) -> None:
    """A check that always fails would notice every mutant."""
    for name in ("openapi.yaml", "announced.yaml"):
        (copy / name).write_text(CONTRACT)
    subprocess.run([sys.executable, "scripts/artefacts.py", "build/contract"], cwd=copy, check=True)
    assert [check.name for check in (DRIFT, *OTHERS) if check.notices(copy)] == []
