"""
The vectors fail incorrect clients, each of which is the PHP client with a small change. ``make
clients`` runs these tests, which need PHP.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from support.prism import ROOT

import conformance.run
from conformance.run import Vector, problems_of, run_program, vectors

if TYPE_CHECKING:
    from pathlib import Path

CLIENT = {
    name: (ROOT / "clients/php" / name).read_text(encoding="utf-8")
    for name in ("callback.php", "src/Tenios.php")
}
RUNNER = ROOT / "conformance/run.py"


KEPT = {
    "$curl = curl_init();": "static $curl = null; $curl ??= curl_init();",
    "CURLOPT_FRESH_CONNECT => true": "CURLOPT_FRESH_CONNECT => false",
    "CURLOPT_FORBID_REUSE => true": "CURLOPT_FORBID_REUSE => false",
}
NOT_CONNECTED = "if (!$response->isConnected) {"
FINAL = "isset(self::FINAL_STATUSES[$status])"
GIVEN = "return self::FINAL_STATUSES[$status]"
TIME_LIMIT = "CURLOPT_TIMEOUT_MS => (int) ($this->timeoutSeconds * 1000)"
FOLLOW = "CURLOPT_FOLLOWLOCATION => false"
REFUSED = "in_array($response->status, [401, 403], true)"
DESCRIBED = "$code = $response->document()['error_code'] ?? '';"
ID = "$response->document()['id']"
REJECTED = "if (in_array($response->status, self::REJECTIONS, true)) {"
BAD_CREDENTIALS = "($document['error_code'] ?? null) === 'BAD_CREDENTIALS'"
RETRY_AFTER = "(float) $response->retryAfter"
SUCCESS = "($response->document()['success'] ?? null)"
CODE = "($response->document()['error_code'] ?? null)"
ANY_ID = {"$id = $response->status === 200": "$id = true"}
AGAIN = (
    "if (%s) return $this->start($number, $delay, $announcement, $key);\n"
    "        if (!$response->isConnected) {"
)
STATUS = (
    "$status = $response->status === 200 && $response->error === '' ? ($document['status'] ?? "
    "null) : null;"
)
#: The mistake, the replacements in the PHP client's source, and a part of the names of the vectors
#: of which at least one must fail.
WRONG_CLIENTS: list[tuple[str, dict[str, str], str]] = [
    ("no content type", {"'Content-Type: application/json', ": ""}, "400 with BAD_CREDENTIALS"),
    (
        "non-ASCII destroyed",
        {"=> $announcement": r"=> preg_replace('/[^\x20-\x7E]/', '?', $announcement)"},
        "an announcement may contain any",
    ),
    (
        "non-ASCII in another encoding",
        {
            "json_encode([": "iconv('UTF-8', 'ISO-8859-1//TRANSLIT', json_encode([",
            "...$fields], $flags),": "...$fields], $flags)),",
        },
        "an announcement may contain any",
    ),
    ("kept connection, closed", KEPT, "sent once if its connection is closed"),
    ("kept connection, reset", KEPT, "sent once if its connection is reset"),
    (
        "init request repeated after a lost connection",
        {
            NOT_CONNECTED: "if ($response->isConnected && $response->error !== '') {\n"
            "            return $this->start($number, $delay, $announcement, $key);\n        }\n"
            "        if (!$response->isConnected) {"
        },
        "a connection closed without a response",
    ),
    (
        "init request repeated after 503 with Retry-After: 0",
        {
            NOT_CONNECTED: "if ($response->status === 503 && $response->retryAfter === '0') {\n"
            "            return $this->start($number, $delay, $announcement, $key);\n        }\n"
            "        if (!$response->isConnected) {"
        },
        "503 with Retry-After: 0",
    ),
    (
        "init redirect followed",
        {FOLLOW: f"{FOLLOW[:-5]}true, CURLOPT_POSTREDIR => 7"},
        "307 is not followed",
    ),
    ("init redirect followed with GET", {FOLLOW: f"{FOLLOW[:-5]}true"}, "302 is not followed"),
    (
        "redirect followed while polling",
        {FOLLOW: f"{FOLLOW[:-5]}$path === '/callback/status'"},
        "after 302",
    ),
    (
        "redirect repeated while polling",
        {FOLLOW: f"{FOLLOW[:-5]}$path === '/callback/status', CURLOPT_POSTREDIR => 7"},
        "after 307",
    ),
    (
        "id through a float",
        {"&& $value >= 0 ? $value : null": "&& $value >= 0 ? (int) (float) $value : null"},
        "2^53 + 1",
    ),
    (
        "true as id",
        {"return is_int($value)": "if ($value === true) $value = 1;\n return is_int($value)"},
        "true",
    ),
    ("1.5 as id", {" && floor($value) === $value": ""}, "1.5"),
    ("10.0 lost", {"if (is_float($value)": "if (false && is_float($value)"}, "10.0 is accepted"),
    (
        "any text with digits as id",
        {"'/^(0|[1-9][0-9]{0,18})$/D'": "'/[0-9]/'", " && (string) (int) $value === $value": ""},
        "010",
    ),
    (
        "blanks around an id",
        {
            "'/^(0|[1-9][0-9]{0,18})$/D'": "'/^ *[0-9]+$/'",
            " && (string) (int) $value === $value": "",
        },
        '" 10"',
    ),
    ("id of 65 bits cut off", {" && (string) (int) $value === $value": "", "{0,18}": "*"}, "2^64"),
    (
        "id in text lost",
        {"if (is_string($value) &&": "if (false && is_string($value) &&"},
        "decimal text",
    ),
    ("the id 0 lost", {"return $id ?? ": "return $id ?: "}, "the id 0"),
    (
        "byte order mark not ignored",
        {'str_starts_with($this->body, "\\u{FEFF}")': "false"},
        "byte order mark",
    ),
    (
        "any 400 ends the watch",
        {" && ($document['error_code'] ?? null) === 'BAD_CREDENTIALS'": ""},
        "400 with INVALID",
    ),
    ("404 ends the watch", {REFUSED: REFUSED.replace("403", "403, 404")}, "after 404"),
    ("401 does not end the watch", {REFUSED: REFUSED.replace("401, ", "")}, "after 401"),
    (
        "any BAD_CREDENTIALS ends the watch",
        {"($response->status === 400 && (": "(("},
        "503 with BAD_CREDENTIALS",
    ),
    (
        "final status from a 201",
        {STATUS: STATUS.replace("=== 200", "< 300")},
        "201 with a final status",
    ),
    (
        "status of a failed request",
        {STATUS: "$status = $document['status'] ?? null;"},
        "201 with a final status",
    ),
    (
        "status of another type",
        {STATUS: f"{STATUS}\n            if (is_scalar($status)) $status = (string) $status;"},
        "a status that is a number",
    ),
    (
        "status in a list",
        {STATUS: f"{STATUS}\n            $status = is_array($status) ? reset($status) : $status;"},
        "a status that is a list",
    ),
    (
        "unknown status is final",
        {
            FINAL: "!in_array($status, ['CALLING_A', 'CALLING_B', 'CONNECTED'], true)",
            GIVEN: f"{GIVEN} ?? 'agent_failed'",
        },
        "a status that is not in the contract",
    ),
    (
        "each FAILED is final",
        {
            FINAL: f"{FINAL} || str_ends_with($status, '_FAILED')",
            GIVEN: f"{GIVEN} ?? 'agent_failed'",
        },
        "even if it ends in FAILED",
    ),
    (
        "unknown status not reported",
        {"$report($this->redact($status));": "if ($status !== 'ON_HOLD') { $report($status); }"},
        "a status that is not in the contract",
    ),
    (
        "status reported twice",
        {"} elseif ($status !== $last) {": "} else {"},
        "an unchanged status",
    ),
    (
        "CONNECTED is final",
        {"'DISCONNECTED' =>": "'CONNECTED' => 'connected', 'DISCONNECTED' =>"},
        "connected and ends",
    ),
    (
        "key printed",
        {"$this->accessKey === '' ? $text : str_replace($this->accessKey, '***', $text)": "$text"},
        "the key in",
    ),
    (
        "half of the key printed",
        {"'***', $text)": "substr($this->accessKey, 0, 10), $text)"},
        "the key in a response to a status request",
    ),
    ("no time limits", {"CURLOPT_TIMEOUT_MS": "CURLOPT_LOW_SPEED_TIME"}, "no response leaves"),
    (
        "no time limit for the body",
        {TIME_LIMIT: "CURLOPT_LOW_SPEED_LIMIT => 1, CURLOPT_LOW_SPEED_TIME => 3"},
        "a response that does not end leaves",
    ),
    (
        "Retry-After without bound",
        {"min($asked, $this->maxPauseSeconds)": "$asked"},
        "Retry-After of a day",
    ),
    ("409 is a rejection", {"[400, 401,": "[409, 400, 401,"}, "409"),
    ("503 is a rejection", {"[400, 401,": "[503, 400, 401,"}, "503 with Retry-After leaves"),
    ("422 is unknown", {"422, 429]": "429]"}, "422 is a rejection"),
    (
        "201 is a success",
        {"$id = $response->status === 200": "$id = $response->status < 300"},
        "201 leaves",
    ),
    (
        "empty optional fields sent",
        {"...array_filter($optional, fn (string $value): bool => $value !== '')": "...$optional"},
        "400 with BAD_CREDENTIALS",
    ),
    (
        "delay as text",
        {"'delay' => $delay,": "'delay' => (string) $delay,"},
        "400 with BAD_CREDENTIALS",
    ),
    ("exit code always 0", {"exit($exitCode);": "exit(0);"}, "400 with BAD_CREDENTIALS"),
    # Rule 2: other codes taken for a refusal, and other places for an id.
    *(
        (f"{code} is a rejection", {"[400, 401,": f"[{code}, 400, 401,"}, f"each {code // 100}xx")
        for code in (402, 406, 410, 423, 428, 451, 501, 505, 507, 511, 304, 206)
    ),
    (
        "each 4xx is a rejection",
        {REJECTED: "if ($response->status >= 400 && $response->status < 500) {"},
        "each 4xx",
    ),
    (
        "each error code is a rejection",
        {REJECTED: "if (isset($response->document()['error_code'])) {"},
        "each 5xx",
    ),
    *(
        (f"the id from {place}", {f"{ID} ?? null": source}, "another place")
        for place, source in {
            "another name": f"{ID} ?? $response->document()['callback_id'] ?? null",
            "a field in any case": "array_change_key_case($response->document())['id'] ?? null",
            "an inner object": f"{ID} ?? $response->document()['data']['id'] ?? null",
            "a list": f"{ID} ?? $response->document()[0]['id'] ?? null",
            "the first number": "(int) filter_var($response->body, FILTER_SANITIZE_NUMBER_INT)",
            "a bare number": f"{ID} ?? json_decode($response->body)",
        }.items()
    ),
    (
        "the id of any 2xx",
        {"$id = $response->status === 200": "$id = intdiv($response->status, 100) === 2"},
        "each 2xx",
    ),
    ("the id of any response", {"$id = $response->status === 200": "$id = true"}, "each 5xx"),
    # What is beside an id, and what asks to send the request again.
    (
        "BAD_CREDENTIALS is a rejection, whatever the status is",
        {REJECTED: f"{REJECTED[:-3]} || {CODE} === 'BAD_CREDENTIALS') {{"},
        "each 5xx",
    ),
    (
        "an id beside success",
        {"$id = $response": f"$id = {SUCCESS} === true || $response"},
        "each 2xx",
    ),
    (
        "no success is a rejection",
        {REJECTED: f"{REJECTED[:-3]} || {SUCCESS} === false) {{"},
        "another place",
    ),
    (
        "a refusal with an id polled",
        {REJECTED: f"if (!isset({ID}) && {REJECTED[4:]}", **ANY_ID},
        "with an id is",
    ),
    *(
        (f"init request repeated after {what}", {NOT_CONNECTED: AGAIN % condition}, noticed_by)
        for what, condition, noticed_by in (
            ("a 401", "$response->status === 401", "an authentication challenge"),
            ("a 407", "$response->status === 407", "an authentication challenge"),
            (
                "a response that is cut off",
                "str_contains($response->error, 'remaining')",
                "cut off",
            ),
        )
    ),
    (
        "the name of a header in these letters only",
        {"strtolower($name)": "lcfirst($name)", "=== 'retry-after'": "=== 'retry-After'"},
        "at least Retry-After",
    ),
    (
        "Retry-After of 32 bits",
        {RETRY_AFTER: "(float) unpack('l', pack('l', $response->retryAfter))[1]"},
        "Retry-After is longer",
    ),
    (
        "the code in any case of letters",
        {BAD_CREDENTIALS: f"is_string({CODE}) && strtoupper({CODE}) === 'BAD_CREDENTIALS'"},
        "in another place or format",
    ),
    (
        "the exit code of the first that is not connected",
        {"max($exitCode, ": "($exitCode ?: "},
        "each outcome",
    ),
    (
        "a name twice",
        {
            "=> json_encode([": "=> preg_replace('/^{/', '{\"delay\":5,', json_encode([",
            "...$fields], $flags),": "...$fields], $flags)),",
        },
        "connected and ends",
    ),
    # Rule 4: what ends the status requests.
    (
        "a part of the code",
        {BAD_CREDENTIALS: "str_contains(json_encode($document['error_code'] ?? ''), 'BAD_CRED')"},
        "in another place or format",
    ),
    (
        "the code in the message",
        {BAD_CREDENTIALS: "str_contains($response->body, 'BAD_CREDENTIALS')"},
        "in another place or format",
    ),
    (
        "the code of a 200",
        {"($response->status === 400 && (": "(in_array($response->status, [200, 400], true) && ("},
        "in another place or format",
    ),
    *(
        (
            f"{code} ends the watch",
            {REFUSED: REFUSED.replace("403", f"403, {code}")},
            "each HTTP status",
        )
        for code in (402, 405, 406, 410, 423, 451, 501, 505)
    ),
    (
        "a final status from any response",
        {STATUS: "$status = $document['status'] ?? null;"},
        "each HTTP status",
    ),
    (
        "the status in any case of letters",
        {"($document['status'] ?? null)": "(array_change_key_case($document)['status'] ?? null)"},
        "a status in another place",
    ),
    (
        "the status as plain text",
        {"($document['status'] ?? null)": "($document['status'] ?? trim($response->body))"},
        "a status in another place",
    ),
    *(
        (
            f"gives up after {count} {what}",
            {
                "for ($last = null; ;": "for ($last = null, $count = 0; ;",
                "$document = $response->document();\n": "$document = $response->document();\n"
                f"            $count = {counted} ? $count + 1 : 0;\n"
                f"            if ($count >= {count}) return 'status_unavailable';\n",
            },
            noticed_by,
        )
        for count, what, counted, noticed_by in (
            (5, "failures", "$response->status !== 200", "200 failures"),
            (100, "failures", "$response->status !== 200", "200 failures"),
            (50, "requests", "true", "stays for 300"),
            (250, "requests", "true", "stays for 300"),
            (3, "lost connections", "$response->error !== ''", "200 failures"),
        )
    ),
    # Rule 5: what is final.
    (
        "final in any case of letters",
        {"($document['status'] ?? null) :": "strtoupper((string) ($document['status'] ?? '')) :"},
        "no other status",
    ),
    *(
        (
            f"{word} is final",
            {"'DISCONNECTED' => 'con": f"'{word}' => 'connected', 'DISCONNECTED' => 'con"},
            "no other status",
        )
        for word in (
            "COMPLETED",
            "ENDED",
            "FAILED",
            "CALL_FAILED",
            "CANCELLED",
            "DISCONNECTED_A",
            "HUNGUP",
            "CALL_ENDED",
        )
    ),
    (
        "each status that begins with DISCONNECT is final",
        {
            FINAL: f"{FINAL} || str_starts_with($status, 'DISCONNECT')",
            GIVEN: f"{GIVEN} ?? 'connected'",
        },
        "no other status",
    ),
    # Rule 6: pauses.
    ("no pause", {"usleep((int) ($pause * 1_000_000))": "true"}, "a pause after each"),
    (
        "no pause after a failure",
        {"$pause = max($pause, min($asked, $this->maxPauseSeconds));": "$pause = 0;"},
        "a pause after each",
    ),
    (
        "Retry-After ignored",
        {"$pause = max($pause, min($asked, $this->maxPauseSeconds));": ""},
        "at least Retry-After",
    ),
    (
        "Retry-After in milliseconds",
        {RETRY_AFTER: f"{RETRY_AFTER} / 1000"},
        "at least Retry-After",
    ),
    (
        "Retry-After ignored if it is longer than the longest pause",
        {"min($asked, $this->maxPauseSeconds)": "($asked <= $this->maxPauseSeconds ? $asked : 0)"},
        "Retry-After is longer",
    ),
    (
        "Retry-After shortens the pause",
        {"max($pause, min($asked": "min(PHP_INT_MAX, min($asked"},
        "does not shorten",
    ),
    # Rule 7: the key in another place or spelling.
    *(
        (f"the key in {place}", {"'Expect:']": f"'Expect:', {header}]"}, "connected and ends")
        for place, header in {
            "a header": "'X-Access-Key: ' . $this->accessKey",
            "a bearer token": "'Authorization: Bearer ' . $this->accessKey",
            "basic authentication": "'Authorization: ' . base64_encode(':' . $this->accessKey)",
            "a cookie": "'Cookie: key=' . rawurlencode($this->accessKey)",
        }.items()
    ),
    (
        "the key in the path",
        {"$this->baseUrl . $path": "$this->baseUrl . $path . '?access_key=' . $this->accessKey"},
        "connected and ends",
    ),
    (
        "the key twice in the body",
        {"['access_key' =>": "['key' => $this->accessKey, 'access_key' =>"},
        "connected and ends",
    ),
    *(
        (
            f"the key printed {how}",
            {'$this->log("Status': f'$this->log({shown}); $this->log("Status'},
            "is repeated after 503",
        )
        for how, shown in {
            "in base64": "base64_encode($this->accessKey)",
            "in hexadecimal": "bin2hex($this->accessKey)",
            "in lower case": "strtolower($this->accessKey)",
            "backwards": "strrev($this->accessKey)",
            "percent-encoded": "str_replace('-', '%2D', $this->accessKey)",
            "in JSON": "'\\\\u0054' . substr($this->accessKey, 1)",
            "in part": "substr($this->accessKey, -8)",
            "in bytes": "chunk_split(bin2hex($this->accessKey), 2, ' ')",
            "in codes": "implode(', ', unpack('C*', $this->accessKey))",
            "in escapes": "'\\x' . substr(chunk_split(bin2hex($this->accessKey), 2, '\\x'), 0, -2)",
            "in other marks": "implode(' ', str_split(str_replace('-', '_', $this->accessKey)))",
        }.items()
    ),
    (
        "the text of a response printed",
        {DESCRIBED: f"$this->log($response->body); {DESCRIBED}"},
        "the key escaped in JSON",
    ),
    (
        "the message of a response printed",
        {
            DESCRIBED: "$code = json_encode($response->document()['error_message'] ?? '');",
            "is_string($code) && preg_match('/^[A-Z_]{1,40}$/D', $code)": "true",
        },
        "the key in lower case",
    ),
    # What the caller asked for, and what is reported.
    *(
        (f"number {how}", {"=> $number,": f"=> {changed},"}, "each number")
        for how, changed in {
            "without the plus sign": "ltrim($number, '+')",
            "with 00": "'00' . ltrim($number, '+')",
            "cut off": "substr($number, 0, 12)",
            "without plus and country": "preg_replace('/^\\+1/', '1', $number)",
            "with a German prefix": "preg_replace('/^\\+49/', '+490', $number)",
        }.items()
    ),
    *(
        (f"delay {how}", {"'delay' => $delay,": f"'delay' => {changed},"}, "each delay")
        for how, changed in {
            "limited": "min($delay, 86400)",
            "in milliseconds": "$delay * 1000",
            "at least 1": "max(1, $delay)",
            "in minutes": "intdiv($delay, 60) * 60",
            "of 16 bits": "$delay & 0xffff",
        }.items()
    ),
    *(
        (f"announcement {how}", {"=> $announcement,": f"=> {changed},"}, "an announcement is sent")
        for how, changed in {
            "trimmed": "trim($announcement)",
            "without repeated blanks": "preg_replace('/ +/', ' ', $announcement)",
            "in one line": "str_replace(\"\\n\", ' ', $announcement)",
            "escaped for HTML": "htmlspecialchars($announcement)",
            "without tags": "strip_tags($announcement)",
            "unescaped": "stripslashes($announcement)",
            "with one kind of line ends": 'str_replace(["\\r\\n", "\\r"], "\\n", $announcement)',
            "without soft hyphens": "str_replace(\"\\u{AD}\", '', $announcement)",
            "in composed characters": "str_replace(\"e\\u{301}\", 'é', $announcement)",
            "with a full stop": "rtrim($announcement, '.') . '.'",
            "decoded": "urldecode($announcement)",
            "cut at 255": "iconv_substr($announcement, 0, 255, 'UTF-8')",
            "cut at 1024": "iconv_substr($announcement, 0, 1024, 'UTF-8')",
            "capitalized": "ucfirst($announcement)",
        }.items()
    ),
    (
        "fields that are false to PHP left out",
        {", fn (string $value): bool => $value !== ''": ""},
        "each phone key",
    ),
    (
        "only digits as a key",
        {"=> $key]": "=> preg_replace('/[^0-9]/', '', $key)]"},
        "each phone key",
    ),
    (
        "arguments kept from the callback before",
        {
            "$optional = [": "static $kept = []; $optional = [",
            "'delay' => $delay,\n": "'delay' => $delay, ...($kept += array_filter($optional)),\n",
        },
        "not those of the previous one",
    ),
    (
        "only the last status reported",
        {"$report($this->redact($status));": f"if ({FINAL}) $report($status);"},
        "connected and ends",
    ),
    (
        "statuses reported in another order",
        {
            "$report($this->redact($status));": "array_unshift($all, $status);",
            "for ($last = null; ;": "for ($last = null, $all = []; ;",
            GIVEN: f"array_map($report, $all); {GIVEN}",
        },
        "connected and ends",
    ),
    (
        "a status reported again after a failure",
        {"// A date is ignored.": "$last = null;"},
        "does not repeat a status",
    ),
    (
        "last status kept for the next callback",
        {"for ($last = null; ;": "static $last = null; for (; ;"},
        "with its own id",
    ),
    (
        "id kept for the next callback",
        {
            "['id' => $id]": "['id' => $kept ??= $id]",
            "for ($last = null; ;": "static $kept = null; for ($last = null; ;",
        },
        "with its own id",
    ),
    (
        "stops after a callback that is not connected",
        {"$exitCode = max(": "if ($outcome === 'rejected') exit(2); $exitCode = max("},
        "each outcome",
    ),
    (
        "polls as a PUT",
        {"CURLOPT_URL =>": "CURLOPT_CUSTOMREQUEST => 'PUT', CURLOPT_URL =>"},
        "connected and ends",
    ),
]


@pytest.fixture(autouse=True)
def _php(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Skip the tests, or fail them in CI, if PHP is missing. A correct client needs less than this
    limit.
    """
    if shutil.which("php") is None:
        text = "PHP not found. On Debian and Ubuntu, run: make system"
        pytest.fail(text) if os.environ.get("CI") else pytest.skip(text)
    monkeypatch.setattr(conformance.run, "LIMIT", 10)


def write(folder: Path, changes: dict[str, str]) -> Path:
    """Write the changed client and return its program."""
    (folder / "src").mkdir(parents=True)
    for before in changes:
        assert any(before in text for text in CLIENT.values()), before
    for name, text in CLIENT.items():
        changed = text
        for before, after in changes.items():
            changed = changed.replace(before, after)
        (folder / name).write_text(changed, encoding="utf-8")
    return folder / "callback.php"


def problems(program: Path, vector: Vector) -> list[str]:
    result = run_program(["php", str(program)], vector)
    # It must be wrong in the intended way.
    output = result.stdout + result.stderr
    for trouble in ("Parse error", "Fatal error", "Warning", "Deprecated"):
        assert trouble not in output, output[:300]
    return problems_of(result, vector)


def test_wrong_clients_are_noticed(tmp_path: Path) -> None:
    """Concurrently, because some of them poll until the limit."""

    def trouble(number: int) -> str:
        name, changes, noticed_by = WRONG_CLIENTS[number]
        program = write(tmp_path / str(number), changes)
        chosen = [vector for vector in vectors() if noticed_by in vector.name]
        assert chosen, name
        try:
            noticed = any(problems(program, vector) for vector in chosen)
        except AssertionError as error:
            return str(error)
        return "" if noticed else "It is not noticed."

    with ThreadPoolExecutor(16) as pool:
        troubles = pool.map(trouble, range(len(WRONG_CLIENTS)))
        found = zip(WRONG_CLIENTS, troubles, strict=True)
        assert {name: trouble for (name, _, _), trouble in found if trouble} == {}


@pytest.mark.parametrize(
    ("arguments", "exit_code", "text"),
    [
        (["--only", "409", "--", "php", "{right}"], 0, "1 passed, 0 failed"),
        (["--only", "409", "--", "php", "{wrong}"], 1, "outcome: expected unknown, got rejected"),
        (["--only", "409", "--", "./missing"], 2, "./missing was not found"),
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
    program = write(tmp_path / "client", {"[400, 401,": "[409, 400, 401,"})
    paths = {"right": ROOT / "clients/php/callback.php", "wrong": program}
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


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_runner_ends_its_program_and_what_that_started_if_it_is_ended(
    ending: signal.Signals, tmp_path: Path
) -> None:
    """Each process holds the pipe open, so the pipe ends when all have ended."""
    os.mkfifo(tmp_path / "pipe")
    script = f"exec 3>{tmp_path}/pipe; echo $$ >&3; sleep 600 & sleep 600"
    command = [sys.executable, "-I", str(RUNNER), "--only", "409", "--", "sh", "-c", script]
    with subprocess.Popen(command) as runner, (tmp_path / "pipe").open() as pipe:
        assert pipe.readline()
        runner.send_signal(ending)
        assert pipe.read() == ""
        assert runner.wait() == -ending
