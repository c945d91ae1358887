"""
The vectors fail clients that are wrong.

Each wrong client is the PHP client with a change of a line or two. ``make clients`` runs these
tests, which need PHP.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import pytest
from support.prism import ROOT

import conformance.run
from conformance.run import Vector, problems_of, run_program, vectors

if TYPE_CHECKING:
    from pathlib import Path

CLIENT = (ROOT / "clients/php/callback.php").read_text(encoding="utf-8")
RUNNER = ROOT / "conformance/run.py"
POLL_AGAIN = "'Status request failed, polling again'"


class WrongClient(NamedTuple):
    """
    A wrong client.

    Attributes:
        name: What is wrong with it.
        changes: The text of the PHP client that is changed, each with what stands in its place.
        noticed_by: Text that the names of the vectors have that must fail it.
    """

    name: str
    changes: dict[str, str]
    noticed_by: str


KEPT = {
    "$curl = curl_init();": "static $curl = null; $curl ??= curl_init();",
    "CURLOPT_FRESH_CONNECT => true": "CURLOPT_FRESH_CONNECT => false",
    "CURLOPT_FORBID_REUSE => true": "CURLOPT_FORBID_REUSE => false",
}
NOT_CONNECTED = "if (!$response->isConnected) {"
FINAL = "isset(FINAL_STATUSES[$status])"
TIME_LIMIT = "CURLOPT_TIMEOUT_MS => (int) ($this->timeoutSeconds * 1000)"
FOLLOW = "CURLOPT_FOLLOWLOCATION => false"
REFUSED = "in_array($response->status, [401, 403], true)"
STATUS = (
    "$status = $response->status === 200 && $response->error === '' ? ($document['status'] ?? "
    "null) : null;"
)
WRONG_CLIENTS = [
    WrongClient(
        "no content type", {"'Content-Type: application/json', ": ""}, "400 with BAD_CREDENTIALS"
    ),
    WrongClient(
        "non-ASCII destroyed",
        {"=> $announcement": r"=> preg_replace('/[^\x20-\x7E]/', '?', $announcement)"},
        "an announcement may have any",
    ),
    WrongClient(
        "non-ASCII in another encoding",
        {
            "json_encode([": "iconv('UTF-8', 'ISO-8859-1//TRANSLIT', json_encode([",
            "...$fields], $flags),": "...$fields], $flags)),",
        },
        "an announcement may have any",
    ),
    WrongClient("kept connection, closed", KEPT, "sent once if its connection is closed"),
    WrongClient("kept connection, reset", KEPT, "sent once if its connection is reset"),
    WrongClient(
        "init request repeated after a lost connection",
        {
            NOT_CONNECTED: "if ($response->isConnected && $response->error !== '') {\n"
            "            return $this->start($number, $delay, $announcement, $key);\n        }\n"
            "        if (!$response->isConnected) {"
        },
        "a connection closed without a response",
    ),
    WrongClient(
        "init request repeated after 503 with Retry-After: 0",
        {
            NOT_CONNECTED: "if ($response->status === 503 && $response->retryAfter === '0') {\n"
            "            return $this->start($number, $delay, $announcement, $key);\n        }\n"
            "        if (!$response->isConnected) {"
        },
        "503 with Retry-After: 0",
    ),
    WrongClient(
        "init redirect followed",
        {FOLLOW: f"{FOLLOW[:-5]}true, CURLOPT_POSTREDIR => 7"},
        "307 is not followed",
    ),
    WrongClient(
        "init redirect followed with GET", {FOLLOW: f"{FOLLOW[:-5]}true"}, "302 is not followed"
    ),
    WrongClient(
        "redirect followed while polling",
        {FOLLOW: f"{FOLLOW[:-5]}$path === '/callback/status'"},
        "after 302",
    ),
    WrongClient(
        "redirect repeated while polling",
        {FOLLOW: f"{FOLLOW[:-5]}$path === '/callback/status', CURLOPT_POSTREDIR => 7"},
        "after 307",
    ),
    WrongClient(
        "id through a float",
        {"&& $value >= 0 ? $value : null": "&& $value >= 0 ? (int) (float) $value : null"},
        "2^53 + 1",
    ),
    WrongClient(
        "true as id",
        {"return is_int($value)": "if ($value === true) $value = 1;\n return is_int($value)"},
        "true",
    ),
    WrongClient("1.5 as id", {" && floor($value) === $value": ""}, "1.5"),
    WrongClient(
        "10.0 lost", {"if (is_float($value)": "if (false && is_float($value)"}, "10.0 is accepted"
    ),
    WrongClient(
        "any text with digits as id",
        {"'/^(0|[1-9][0-9]{0,18})$/D'": "'/[0-9]/'", " && (string) (int) $value === $value": ""},
        "010",
    ),
    WrongClient(
        "blanks around an id",
        {
            "'/^(0|[1-9][0-9]{0,18})$/D'": "'/^ *[0-9]+$/'",
            " && (string) (int) $value === $value": "",
        },
        '" 10"',
    ),
    WrongClient(
        "id of 65 bits cut off", {" && (string) (int) $value === $value": "", "{0,18}": "*"}, "2^64"
    ),
    WrongClient(
        "id in text lost",
        {"if (is_string($value) &&": "if (false && is_string($value) &&"},
        "decimal text",
    ),
    WrongClient("the id 0 lost", {"return $id ?? ": "return $id ?: "}, "the id 0"),
    WrongClient(
        "byte order mark not ignored",
        {'str_starts_with($this->body, "\\u{FEFF}")': "false"},
        "byte order mark",
    ),
    WrongClient(
        "any 400 ends the watch",
        {" && ($document['error_code'] ?? null) === 'BAD_CREDENTIALS'": ""},
        "400 with INVALID",
    ),
    WrongClient("404 ends the watch", {REFUSED: REFUSED.replace("403", "403, 404")}, "after 404"),
    WrongClient("401 does not end the watch", {REFUSED: REFUSED.replace("401, ", "")}, "after 401"),
    WrongClient(
        "any BAD_CREDENTIALS ends the watch",
        {"($response->status === 400 && (": "(("},
        "503 with BAD_CREDENTIALS",
    ),
    WrongClient(
        "final status from a 201",
        {STATUS: STATUS.replace("=== 200", "< 300")},
        "201 with a final status",
    ),
    WrongClient(
        "status of a failed request",
        {STATUS: "$status = $document['status'] ?? null;"},
        "201 with a final status",
    ),
    WrongClient(
        "status of another type",
        {STATUS: f"{STATUS}\n            if (is_scalar($status)) $status = (string) $status;"},
        "a status that is a number",
    ),
    WrongClient(
        "status in a list",
        {STATUS: f"{STATUS}\n            $status = is_array($status) ? reset($status) : $status;"},
        "a status that is a list",
    ),
    WrongClient(
        "unknown status is final",
        {
            FINAL: "!in_array($status, ['CALLING_A', 'CALLING_B', 'CONNECTED'], true)",
            "return FINAL_STATUSES[$status]": "return FINAL_STATUSES[$status] ?? 'agent_failed'",
        },
        "a status that is not in the contract",
    ),
    WrongClient(
        "each FAILED is final",
        {
            FINAL: "isset(FINAL_STATUSES[$status]) || str_ends_with($status, '_FAILED')",
            "return FINAL_STATUSES[$status]": "return FINAL_STATUSES[$status] ?? 'agent_failed'",
        },
        "even if it ends in FAILED",
    ),
    WrongClient(
        "unknown status not reported",
        {"$report($this->redact($status));": "if ($status !== 'ON_HOLD') { $report($status); }"},
        "a status that is not in the contract",
    ),
    WrongClient(
        "status reported twice",
        {"} elseif ($status !== $last) {": "} else {"},
        "an unchanged status",
    ),
    WrongClient(
        "CONNECTED is final",
        {"'DISCONNECTED' =>": "'CONNECTED' => 'connected', 'DISCONNECTED' =>"},
        "connected and ends",
    ),
    WrongClient(
        "key printed",
        {"$this->accessKey === '' ? $text : str_replace($this->accessKey, '***', $text)": "$text"},
        "the key in",
    ),
    WrongClient(
        "half of the key printed",
        {"'***', $text)": "substr($this->accessKey, 0, 10), $text)"},
        "the key in an error message",
    ),
    WrongClient(
        "no time limits", {"CURLOPT_TIMEOUT_MS": "CURLOPT_LOW_SPEED_TIME"}, "no response leaves"
    ),
    WrongClient(
        "no time limit for the body",
        {TIME_LIMIT: "CURLOPT_LOW_SPEED_LIMIT => 1, CURLOPT_LOW_SPEED_TIME => 3"},
        "a response that does not end leaves",
    ),
    WrongClient(
        "Retry-After without bound",
        {"min($asked, $this->maxPauseSeconds)": "$asked"},
        "Retry-After of a day",
    ),
    WrongClient("409 is a rejection", {"[400, 401,": "[409, 400, 401,"}, "409"),
    WrongClient(
        "503 is a rejection", {"[400, 401,": "[503, 400, 401,"}, "503 with Retry-After leaves"
    ),
    WrongClient("422 is unknown", {"422, 429]": "429]"}, "422 is a rejection"),
    WrongClient(
        "201 is a success",
        {"$id = $response->status === 200": "$id = $response->status < 300"},
        "201 leaves",
    ),
    WrongClient(
        "empty optional fields sent",
        {"...array_filter($optional, fn (string $value): bool => $value !== '')": "...$optional"},
        "400 with BAD_CREDENTIALS",
    ),
    WrongClient(
        "delay as text",
        {"'delay' => $delay,": "'delay' => (string) $delay,"},
        "400 with BAD_CREDENTIALS",
    ),
    WrongClient("exit code always 0", {"exit($exitCode);": "exit(0);"}, "400 with BAD_CREDENTIALS"),
    WrongClient(
        "polls as a PUT",
        {"CURLOPT_URL =>": "CURLOPT_CUSTOMREQUEST => 'PUT', CURLOPT_URL =>"},
        "connected and ends",
    ),
]


@pytest.fixture(autouse=True)
def _php(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Skip the tests if PHP is missing, but fail in CI. A right client needs less than this limit.
    """
    if shutil.which("php") is None:
        text = "The wrong clients cannot be run without php. Install it first: make system."
        pytest.fail(text) if os.environ.get("CI") else pytest.skip(text)
    monkeypatch.setattr(conformance.run, "LIMIT", 10)


def changed(text: str, changes: dict[str, str]) -> str:
    for before, after in changes.items():
        assert before in text, before
        text = text.replace(before, after)
    return text


def problems(program: Path, vector: Vector) -> list[str]:
    result = run_program(["php", str(program)], vector)
    # It must be wrong in the intended way.
    for trouble in ("Parse error", "Fatal error", "Warning", "Deprecated"):
        assert trouble not in result.stdout + result.stderr
    return problems_of(result, vector)


def test_wrong_clients_are_noticed(tmp_path: Path) -> None:
    """At the same time, since some of them poll until the limit."""

    def is_noticed(wrong: WrongClient) -> bool:
        program = tmp_path / f"{WRONG_CLIENTS.index(wrong)}.php"
        program.write_text(changed(CLIENT, wrong.changes), encoding="utf-8")
        chosen = [vector for vector in vectors() if wrong.noticed_by in vector.name]
        assert chosen, wrong.name
        return any(problems(program, vector) for vector in chosen)

    with ThreadPoolExecutor(16) as pool:
        noticed = zip(WRONG_CLIENTS, pool.map(is_noticed, WRONG_CLIENTS), strict=True)
    assert [wrong.name for wrong, is_noticed in noticed if not is_noticed] == []


@pytest.mark.parametrize(
    ("arguments", "exit_code", "text"),
    [
        (["--only", "409", "--", "php", "{right}"], 0, "1 passed, 0 failed"),
        (["--only", "409", "--", "php", "{wrong}"], 1, "It reported rejected, not unknown."),
        (["--only", "409", "--", "./missing"], 2, "./missing could not be run"),
        (
            ["--only", "no such vector", "--", "php"],
            2,
            "no vector has 'no such vector' in its name",
        ),
    ],
    ids=["right", "wrong", "missing program", "no vector"],
)
def test_runner_says_what_fails(
    arguments: list[str], exit_code: int, text: str, tmp_path: Path
) -> None:
    wrong = next(each for each in WRONG_CLIENTS if each.name == "409 is a rejection")
    (tmp_path / "callback.php").write_text(changed(CLIENT, wrong.changes), encoding="utf-8")
    paths = {"right": ROOT / "clients/php/callback.php", "wrong": tmp_path / "callback.php"}
    command = [
        sys.executable,
        "-I",
        str(RUNNER),
        *(argument.format(**paths) for argument in arguments),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (ran.returncode, text in ran.stdout + ran.stderr) == (exit_code, True), (
        ran.stdout + ran.stderr
    )
