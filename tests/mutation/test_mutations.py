"""
Each relevant kind of change to the contract is detected by the checks that concern it.

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
from typing import NamedTuple

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = (ROOT / "openapi.yaml").read_text()
VERSION = str(yaml.safe_load(CONTRACT)["info"]["version"])
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
            # Loading the plugins of all that is installed takes longer than most checks.
            env={**ENVIRONMENT, "PYTHONPATH": paths, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
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


# The new version announces a compatible change, so that the gate fails only for changes that break
# clients. It needs the contract only.
GATE = Check(
    "gate",
    [
        sys.executable,
        str(ROOT / "scripts/compatible.py"),
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
    "conformance", pytest_on("tests/conformance", "-k", "not async and not aiohttp and not stalls")
)
PRISM = Check("Prism", pytest_on("-p", "schemathesis", "tests/contract/test_prism_mock.py"))
SIMULATOR = Check(
    "simulator",
    pytest_on(
        "-p", "schemathesis", "tests/simulator/server/test_schemathesis.py", "-k", "operations"
    ),
)
GO = Check(
    "Go client", pytest_on("tests/clients/test_clients.py", "-k", "go and conforms and not stalls")
)
CHECKS = (GATE, MODELS, CONFORMANCE, PRISM, SIMULATOR, GO)
# Prism responds with the examples of the contract, whatever the status is called in them.
ALL_BUT_PRISM = tuple(check for check in CHECKS if check != PRISM)


class Mutation(NamedTuple):
    """
    A change of the contract.

    Attributes:
        name: What is changed.
        pattern: A regular expression that matches the text to replace; ``^`` and ``$`` match at
            lines.
        replacement: The new text.
        checks: The checks that must detect the change.
    """

    name: str
    pattern: str
    replacement: str
    checks: tuple[Check, ...]


ADDED_STATUS = Mutation(
    "enum value added",
    r"^        - DISCONNECTED\n",
    "        - DISCONNECTED\n        - ON_HOLD\n",
    (MODELS,),
)
MUTATIONS = [
    Mutation("enum value renamed", r"^        - CONNECTED\n", "        - JOINED\n", ALL_BUT_PRISM),
    Mutation("required field renamed", r"callback_number(?=[,:])", "callback_nummer", CHECKS),
    Mutation("path renamed", r"/callback/status:", "/callback/state:", CHECKS),
    Mutation("enum value removed", r"^        - CALL_B_FAILED\n", "", (GATE, MODELS)),
    ADDED_STATUS,
    Mutation(
        "required field made optional", r"callback_number, delay\]", "callback_number]", (PRISM,)
    ),
    Mutation(
        "optional field made required",
        r"callback_number, delay\]",
        "callback_number, delay, agent_announcement]",
        (GATE,),
    ),
    Mutation("optional field renamed", r"agent_announcement:", "announcement:", (GATE,)),
    Mutation(
        "optional field removed",
        r"^        dtmf_key_to_trigger_customer_call:\n(?:          .*\n)+",
        "",
        (GATE,),
    ),
    Mutation(
        "optional field added",
        r"^        delay:\n",
        "        colour:\n          type: string\n        delay:\n",
        (MODELS,),
    ),
    Mutation(
        "type of the delay changed",
        r"type: integer\n          format: int32\n          minimum: 0\n          maximum: \d+",
        "type: string",
        (GATE,),
    ),
    Mutation(
        "type of the id changed",
        r"type: integer\n      format: int64\n      minimum: 0",
        "type: string",
        (GATE,),
    ),
    Mutation(
        "id in the response renamed",
        r"required: \[id\]\n      properties:\n        id:",
        "required: [callback]\n      properties:\n        callback:",
        (GATE,),
    ),
    Mutation(
        "status in the response renamed",
        r"required: \[status\]\n      properties:\n        status:",
        "required: [state]\n      properties:\n        state:",
        (GATE,),
    ),
    Mutation("status in the response made optional", r"      required: \[status\]\n", "", (GATE,)),
    Mutation(
        "error code field renamed",
        r"required: \[error_code, error_message\]\n      properties:\n        error_code:",
        "required: [code, error_message]\n      properties:\n        code:",
        (GATE,),
    ),
    Mutation(
        "fields of an error changed to an object",
        r"          type: array\n          items:\n            type: string\n",
        "          type: object\n",
        (GATE,),
    ),
    Mutation("phone number pattern removed", r"          pattern: \^\\\+.*\n", "", (PRISM,)),
    Mutation("DTMF key pattern widened", r"\[0-9\*#\]\$", "[0-9A-D*#]$", (GATE,)),
    Mutation(
        "additional properties allowed",
        r"additionalProperties: false(?=\n      required: \[access_key, callback)",
        "additionalProperties: true",
        (PRISM,),
    ),
    Mutation(
        "minimum of the delay removed",
        r"          minimum: 0\n          maximum",
        "          maximum",
        (PRISM,),
    ),
    Mutation("format of the delay removed", r"          format: int32\n", "", (GO,)),
    Mutation(
        "method changed", r"/callback/status:\n    post:", "/callback/status:\n    put:", (GATE,)
    ),
    Mutation(
        "content type changed",
        r"(InitCallback:\n(?:.*\n){3})        application/json:",
        r"\1        application/xml:",
        (GATE,),
    ),
    Mutation(
        "200 changed to 201",
        r"'200':(?=\n          \$ref: '#/components/responses/CallbackInitialized')",
        "'201':",
        (GATE,),
    ),
    Mutation(
        "400 response removed",
        r"        '400':\n          \$ref: '#/components/responses/BadInitRequest'\n",
        "",
        (MODELS,),
    ),
    Mutation(
        "operation renamed", r"operationId: initCallback", "operationId: startCallback", (MODELS,)
    ),
    Mutation(
        "link removed",
        r"      links:\n        statusOfThisCallback:\n          \$ref: .*\n",
        "",
        (MODELS,),
    ),
    Mutation("link changed to a fixed id", r"id: \$response\.body#/id", "id: 999999", (MODELS,)),
    Mutation(
        "server URL changed", r"https://api\.tenios\.com", "https://api.tenios.example", (MODELS,)
    ),
    Mutation(
        "access key masked",
        r"instead\.\n      type: string\n",
        "instead.\n      type: string\n      format: password\n",
        (GATE,),
    ),
    Mutation(
        "example of the wrong type",
        r"delay: 30\n(?=            announcement)",
        "delay: soon\n",
        (MODELS,),
    ),
]


def prepare(copy: Path, contract: str) -> None:
    """Write a copy of the parts of the repository that the checks need, for another contract."""
    # Compiled modules are copied with their sources, since compiling them takes longer.
    ignored = shutil.ignore_patterns("build", "target", "node_modules")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, copy)
    (copy / "tools/node_modules").symlink_to(ROOT / "tools/node_modules")
    (copy / "openapi.yaml").write_text(contract)
    # Some changed contracts cannot be generated. The checks then see the old client.
    command = [sys.executable, "scripts/generate.py"]
    subprocess.run(command, cwd=copy, check=False, capture_output=True)
    subprocess.run([sys.executable, "scripts/artefacts.py", "build/contract"], cwd=copy, check=True)


def changed_by(mutation: Mutation) -> str:
    changed = re.sub(mutation.pattern, mutation.replacement, CONTRACT, flags=re.MULTILINE)
    assert changed != CONTRACT
    return changed


def announced(contract: str, version: str = "") -> str:
    """Return a contract with another version, by default one that is a patch higher."""
    patch = f"{VERSION.rpartition('.')[0]}.999"
    return contract.replace(f"  version: {VERSION}\n", f"  version: {version or patch}\n", 1)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_mutation_is_detected(mutation: Mutation, tmp_path: Path) -> None:
    changed = changed_by(mutation)
    if mutation.checks != (GATE,):
        prepare(tmp_path, changed)
    (tmp_path / "announced.yaml").write_text(announced(changed))
    undetected = [each.name for each in mutation.checks if not each.detects_change(tmp_path)]
    assert undetected == []


def test_new_status_needs_a_patch_version_only(tmp_path: Path) -> None:
    """So the gate fails if the version is the same, and passes if it is a patch higher."""
    assert gate(tmp_path, changed_by(ADDED_STATUS)) == 1
    assert gate(tmp_path, announced(changed_by(ADDED_STATUS))) == 0


def test_removed_field_needs_a_breaking_version(tmp_path: Path) -> None:
    [removed] = [each for each in MUTATIONS if each.name == "optional field removed"]
    major, minor, _ = map(int, VERSION.split("."))
    breaking = f"{major + 1}.0.0" if major else f"0.{minor + 1}.0"
    assert gate(tmp_path, announced(changed_by(removed))) == 1
    assert gate(tmp_path, announced(changed_by(removed), breaking)) == 0


def gate(folder: Path, contract: str) -> int:
    """Return the exit code of scripts/compatible.py for a contract after the present one."""
    (folder / "announced.yaml").write_text(contract)
    return subprocess.run(GATE.command, cwd=folder, env=ENVIRONMENT, check=False).returncode


def test_unchanged_contract_passes_all_checks(tmp_path: Path) -> None:
    prepare(tmp_path, CONTRACT)
    (tmp_path / "announced.yaml").write_text(CONTRACT)
    assert [check.name for check in CHECKS if check.detects_change(tmp_path)] == []
