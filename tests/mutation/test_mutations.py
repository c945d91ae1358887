"""
Each relevant kind of change to the contract is detected by at least one check.

The drift check detects every change, but says only that ``make generate`` was not run. So each test
generates the client of the changed contract, and then another check has to fail. These checks stand
for what breaks for a user.
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

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = (ROOT / "openapi.yaml").read_text()
FOLDERS = (
    "clients",
    "conformance",
    "generated",
    "generator-templates",
    "scripts",
    "tenios_cli",
    "tenios_ext",
    "tenios_simulator",
    "tests",
    "tools",
)
FILES = ("CHANGELOG.md", "callback.arazzo.yaml", "generator-config.yaml", "pyproject.toml")
# As it was before a fixture removed the proxies, which Go may need to download its modules.
ENVIRONMENT = dict(os.environ)


class Mutation(NamedTuple):
    """
    A change of the contract.

    Attributes:
        name: What is changed.
        pattern: A regular expression that matches the text to replace; ``^`` and ``$`` match at
            lines.
        replacement: The new text.
        detected_by_all: Whether all checks must detect the change, not just one of them.
    """

    name: str
    pattern: str
    replacement: str
    detected_by_all: bool = False


MUTATIONS = [
    Mutation(
        "enum value renamed", r"^        - CONNECTED\n", "        - JOINED\n", detected_by_all=True
    ),
    Mutation(
        "required field renamed",
        r"callback_number(?=[,:])",
        "callback_nummer",
        detected_by_all=True,
    ),
    Mutation("path renamed", r"/callback/status:", "/callback/state:", detected_by_all=True),
    Mutation("enum value removed", r"^        - CALL_B_FAILED\n", ""),
    Mutation(
        "enum value added",
        r"^        - DISCONNECTED\n",
        "        - DISCONNECTED\n        - ON_HOLD\n",
    ),
    Mutation("required field made optional", r"callback_number, delay\]", "callback_number]"),
    Mutation(
        "optional field made required",
        r"callback_number, delay\]",
        "callback_number, delay, agent_announcement]",
    ),
    Mutation("optional field renamed", r"agent_announcement:", "announcement:"),
    Mutation(
        "optional field removed",
        r"^        dtmf_key_to_trigger_customer_call:\n(?:          .*\n)+",
        "",
    ),
    Mutation(
        "optional field added",
        r"^        delay:\n",
        "        colour:\n          type: string\n        delay:\n",
    ),
    Mutation(
        "type of the delay changed",
        r"type: integer\n          format: int32\n          minimum: 0",
        "type: string",
    ),
    Mutation(
        "type of the id changed",
        r"type: integer\n      format: int64\n      minimum: 0",
        "type: string",
    ),
    Mutation(
        "id in the response renamed",
        r"required: \[id\]\n      properties:\n        id:",
        "required: [callback]\n      properties:\n        callback:",
    ),
    Mutation(
        "status in the response renamed",
        r"required: \[status\]\n      properties:\n        status:",
        "required: [state]\n      properties:\n        state:",
    ),
    Mutation("status in the response made optional", r"      required: \[status\]\n", ""),
    Mutation(
        "error code field renamed",
        r"required: \[error_code, error_message\]\n      properties:\n        error_code:",
        "required: [code, error_message]\n      properties:\n        code:",
    ),
    Mutation(
        "fields of an error changed to an object",
        r"          type: array\n          items:\n            type: string\n",
        "          type: object\n",
    ),
    Mutation("phone number pattern removed", r"          pattern: \^\\\+.*\n", ""),
    Mutation("DTMF key pattern widened", r"\[0-9\*#\]\$", "[0-9A-D*#]$"),
    Mutation(
        "additional properties allowed",
        r"additionalProperties: false(?=\n      required: \[access_key, callback)",
        "additionalProperties: true",
    ),
    Mutation(
        "minimum of the delay removed",
        r"          minimum: 0\n          example: 30",
        "          example: 30",
    ),
    Mutation("format of the delay removed", r"          format: int32\n", ""),
    Mutation("method changed", r"/callback/status:\n    post:", "/callback/status:\n    put:"),
    Mutation(
        "content type changed",
        r"(InitCallback:\n(?:.*\n){3})        application/json:",
        r"\1        application/xml:",
    ),
    Mutation(
        "200 changed to 201",
        r"'200':(?=\n          \$ref: '#/components/responses/CallbackInitialized')",
        "'201':",
    ),
    Mutation(
        "400 response removed",
        r"        '400':\n          \$ref: '#/components/responses/BadInitRequest'\n",
        "",
    ),
    Mutation("operation renamed", r"operationId: initCallback", "operationId: startCallback"),
    Mutation(
        "link removed", r"      links:\n        statusOfThisCallback:\n          \$ref: .*\n", ""
    ),
    Mutation("link changed to a fixed id", r"id: \$response\.body#/id", "id: 999999"),
    Mutation("server URL changed", r"https://api\.tenios\.com", "https://api.tenios.example"),
    Mutation(
        "access key masked",
        r"instead\.\n      type: string\n",
        "instead.\n      type: string\n      format: password\n",
    ),
    Mutation(
        "example of the wrong type", r"delay: 30\n(?=            announcement)", "delay: soon\n"
    ),
]


class Check(NamedTuple):
    """
    A check that fails if it detects a change.

    Attributes:
        name: Its name in the report.
        command: What is run in a copy of the repository.
    """

    name: str
    command: list[str]

    def detects_change(self, copy: Path) -> bool:
        """Return whether the check fails. Raises AssertionError if it could not be run."""
        paths = os.pathsep.join(str(path) for path in (copy / "generated", copy, copy / "tests"))
        ran = subprocess.run(
            self.command,
            cwd=copy,
            env={**ENVIRONMENT, "PYTHONPATH": paths},
            capture_output=True,
            text=True,
            check=False,
        )
        output = ran.stdout + ran.stderr
        assert "command not found" not in ran.stderr, output
        assert ran.returncode in {0, 1, 2} or "ImportError while loading conftest" in output, output
        return ran.returncode != 0


def pytest_on(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *arguments]


def write_artefacts(copy: Path) -> None:
    subprocess.run([sys.executable, "scripts/artefacts.py", "build/contract"], cwd=copy, check=True)


DRIFT = Check("drift", [sys.executable, "scripts/generate.py", "--check"])
# The new version announces a compatible change, so that the gate fails only for changes that break
# clients.
GATE = Check(
    "gate",
    [
        sys.executable,
        "scripts/compatible.py",
        "--base",
        str(ROOT / "openapi.yaml"),
        "announced.yaml",
    ],
)
MODELS = Check(
    "models", pytest_on("tests/contract/test_openapi.py", "tests/contract/test_generated_models.py")
)
# One of the three Python clients is enough; the others run the same code.
CONFORMANCE = Check(
    "conformance", pytest_on("tests/conformance", "-k", "not async and not aiohttp")
)
SERVERS = Check(
    "servers",
    pytest_on("tests/contract/test_prism_mock.py", "tests/simulator/server/test_schemathesis.py"),
)
GO = Check("Go client", pytest_on("tests/clients", "-k", "go and not simulator and not prism"))
# From the fastest to the slowest.
CHECKS = [GATE, MODELS, CONFORMANCE, SERVERS, GO]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the parts of the repository that the checks need."""
    ignored = shutil.ignore_patterns("__pycache__", "build", "target", "node_modules")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "tools/node_modules").symlink_to(ROOT / "tools/node_modules")
    return tmp_path


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_mutation_is_detected(
    mutation: Mutation, copy: Path, record_property: Callable[[str, object], None]
) -> None:
    changed = re.sub(mutation.pattern, mutation.replacement, CONTRACT, flags=re.MULTILINE)
    assert changed != CONTRACT
    (copy / "openapi.yaml").write_text(changed)
    announced = re.sub(r"^(  version: \d+\.\d+\.)\d+", r"\g<1>999", changed, flags=re.MULTILINE)
    (copy / "announced.yaml").write_text(announced)
    detected_by: list[str] = []
    if DRIFT.detects_change(copy):
        detected_by.append(DRIFT.name)
        # Some changed contracts cannot be generated. The other checks then see the old client.
        command = [sys.executable, "scripts/generate.py", "--root", str(copy)]
        subprocess.run(command, cwd=ROOT, check=False, capture_output=True)
    write_artefacts(copy)
    for check in CHECKS:
        if check.detects_change(copy):
            detected_by.append(check.name)
            if not mutation.detected_by_all:
                break
    record_property("mutation", mutation.name)
    record_property("detected by", ", ".join(detected_by) or "nothing")
    assert set(detected_by) - {DRIFT.name}
    if mutation.detected_by_all:
        assert detected_by == [DRIFT.name, *(check.name for check in CHECKS)]


def test_unchanged_contract_passes_all_checks(copy: Path) -> None:
    for name in ("openapi.yaml", "announced.yaml"):
        (copy / name).write_text(CONTRACT)
    write_artefacts(copy)
    assert [check.name for check in (DRIFT, *CHECKS) if check.detects_change(copy)] == []
