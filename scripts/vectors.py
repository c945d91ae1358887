"""
Write conformance/rules.json: the vectors that test a rule with every value, such as each status.

    vectors.py            write the file
    vectors.py --check    write nothing; exit with 1 if the file is out of date

The vectors of single cases, in start.json and poll.json, are written by hand.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

Json = dict[str, Any]


def words(text: str) -> list[str]:
    return text.split()


TARGET = Path(__file__).resolve().parent.parent / "conformance/rules.json"
ABOUT = (
    "The rules in README.md, tested with every value. Written by scripts/vectors.py. "
    "Edit that and run make generate."
)
KEY, CONFIG_ID = "TELLTALE-KEY-4711", "CONFORMANCE-CONFIG"
NUMBER = "+492214710123"
CODES = range(201, 600)
# Bodies that a client may mistake for a rejection or a success, despite the HTTP status.
REFUSAL: Json = {"error_code": "BAD_CREDENTIALS", "error_message": "Bad credentials", "fields": []}
LURES: tuple[Json, ...] = (
    {"success": True, "status": "REQUESTED"},
    {**REFUSAL, "success": False},
    {"error_code": "INVALID_FIELD", "error_message": "A message", "fields": ["callback_number"]},
)
NO_BODY = {204, 205, 304}
REFUSALS = (400, 401, 403, 404, 405, 413, 415, 422, 429)
FIELDS = {
    "agent_announcement": "agent_announcement",
    "dtmf_key": "dtmf_key_to_trigger_customer_call",
}
MARKS = r"""' " \ \\ \n %20 &amp; <b> a+b=c&d $HOME {{id}} a/b a;b a:b a--b"""
NUMBERS = """
    +491234567890 +493023125999 +496990009000 +494066969000 +498999998000
    +12025550123 +442079460123 +33199001234 +61491570006
"""
CHALLENGES = ('Basic realm="x"', 'Digest realm="x", nonce="y"', "Bearer", "Negotiate")
JSON = "application/json"
MEDIA_TYPES = (
    "application/json;charset=UTF-8",
    "application/json; charset=utf-8; x=y",
    "Application/JSON",
)
ENDINGS = """
    ABORTED ANSWERED BUSY CANCELED CANCELLED CLOSED COMPLETE COMPLETED DECLINED DELETED DONE DROPPED
    END ENDED ERROR EXPIRED FAIL FAILED FINAL FINISHED HANGUP HUNGUP IDLE INVALID MISSED NO_ANSWER
    OK REJECTED STOPPED SUCCESS TERMINATED TIMEOUT UNKNOWN VOICEMAIL
"""
NOT_FINAL = (
    *words("disconnected Disconnected DISCONNECTING DISCONNECTED_SOON NOT_DISCONNECTED"),
    *words("DIS-CONNECTED CALL_A_FAILED_RETRYING CALL_B_FAILED_ONCE RECALL_A_FAILED call_b_failed"),
    *("DISCONNECTED ", " DISCONNECTED", "CALL A FAILED", "CALL-B-FAILED", "DISCONNECTED_A"),
    *(form.format(word) for word in words(ENDINGS) for form in ("{}", "CALL_{}")),
    "ON_HOLD",
)
NO_PAUSE: Json = {"POLL_SECONDS": "0"}


def response(
    status: int = 200, body: object = None, text: str | None = None, **headers: str
) -> Json:
    """Return a response with a JSON body, a text, or neither."""
    kind = JSON if text is None else "text/plain"
    content = {"text": text} if text is not None else {} if body is None else {"body": body}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"status": status, "headers": {"Content-Type": kind, **named}, **content}


def error(http: int, code: object = "SOME_CODE", message: str = "A message", **more: Any) -> Json:
    return response(http, {"error_code": code, "error_message": message, "fields": [], **more})


def found(status: object) -> Json:
    return response(200, {"status": status})


def failure(http: int, **more: Any) -> Json:
    """Return an error response; some statuses have no body."""
    return response(http) if http in NO_BODY else error(http, **more)


def lured(http: int) -> Json:
    """Return a response with an id in a body that resembles a rejection or a success."""
    body = {**LURES[http % len(LURES)], "id": 10}
    return response(http, None if http in NO_BODY else body)


def call(
    *polls: Json,
    outcome: str,
    start: Json | None = None,
    statuses: list[str] | None = None,
    callback_id: int = 10,
    number: str = NUMBER,
    alternative: Json | None = None,
    **arguments: Any,
) -> Json:
    """Return a callback: its arguments, the exchanges and what the client reports."""
    delay = arguments.get("delay", 0)
    fields = {FIELDS[name]: value for name, value in arguments.items() if name in FIELDS}
    init = {"callback_config_id": CONFIG_ID, "callback_number": number, "delay": delay, **fields}
    requests: list[tuple[str, Json, Json]] = [
        ("init", init, start or response(200, {"id": callback_id}))
    ]
    requests += [("status", {"id": callback_id}, each) for each in polls]
    exchanges: list[Json] = []
    for path, body, answer in requests:
        more: Json = {name: answer[name] for name in ("pause", "times") if name in answer}
        shown = {name: value for name, value in answer.items() if name not in more}
        request: Json = {"path": f"/callback/{path}", "body": {"access_key": KEY, **body}}
        exchanges.append({"request": request, "response": shown, **more})
    expect: Json = {"outcome": outcome}
    if statuses is not None:
        expect["statuses"] = statuses
    if alternative is not None:
        expect["alternative"] = alternative
    return {"call": {"number": number, **arguments}, "exchanges": exchanges, "expect": expect}


def vector(name: str, *calls: Json, **settings: str) -> Json:
    first, *others = calls
    return {
        "name": name,
        **({"settings": settings} if settings else {}),
        **first,
        **({"then": others} if others else {}),
    }


def unknown(start: Json, **arguments: Any) -> Json:
    return call(start=start, outcome="unknown", **arguments)


def rejected(start: Json | None = None, **arguments: Any) -> Json:
    return call(start=start or error(400), outcome="rejected", **arguments)


def numbered(code: int) -> str:
    """Return a phone number that ends with *code*."""
    return f"+492214710{code}"


def polled(name: str, *polls: Json, statuses: tuple[str, ...] = (), **settings: str) -> Json:
    """Return a vector of a callback that ends after these responses."""
    reported = [*statuses, "DISCONNECTED"]
    answers = [*polls, found("DISCONNECTED")]
    return vector(name, call(*answers, outcome="connected", statuses=reported), **settings)


def start_vectors() -> list[Json]:
    """Rules 1 to 3: one init request, rejections, and the place of an id."""
    by_class = {
        name: [
            unknown(lured(code), number=numbered(code))
            for code in CODES
            if code // 100 == hundred and code not in REFUSALS
        ]
        for hundred, name in (
            (2, "2xx except 200"),
            (3, "3xx"),
            (4, "4xx that is not a rejection"),
            (5, "5xx"),
        )
    }
    names = words("callback_id callbackId request_id call_id ID Id _id result uuid")
    texts = ("10 ", "10\n", '"10"', "\uff11\uff10", "\u0661\u0660", "0x0a")
    values: tuple[object, ...] = ({"id": 10}, {"value": 10}, [10], 0.5, -0.5, *texts)
    elsewhere: list[object] = [
        *({name: 10} for name in names),
        *({name: {"id": 10}} for name in ("data", "callback", "result", "response")),
        *({"id": value} for value in values),
        *({"id": value} for value in words("1_0 10,0 -10 -0 10abc #10")),
        *({"success": value, **REFUSAL} for value in (True, False, "false")),
        [{"id": 10}],
        10,
        "10",
    ]
    places = [response(200, body) for body in elsewhere]
    places += [response(200, text=text) for text in ("10", "id=10", "<id>10</id>", 'OK {"id": 10}')]
    json_texts = [f'{{"id": {value}}}' for value in ("1e400", "NaN", "Infinity", "0x0A")]
    places += [response(200, text=text, Content_Type=JSON) for text in json_texts]
    places += [response(200, {}, Location="/callback/10"), response(200, {}, X_Callback_Id="10")]
    bodies = (error(400), response(400, {}), response(400), response(400, text="10 is refused"))
    return [
        *(
            vector(f"each {name} leaves the outcome unknown", *calls)
            for name, calls in by_class.items()
        ),
        vector(
            "each rejection is recognised by its status, with any body",
            *(
                rejected({**body, "status": code}, number=numbered(code))
                for code in REFUSALS
                for body in bodies
            ),
        ),
        vector(
            "an authentication challenge is not answered",
            *(rejected(response(401, REFUSAL, WWW_Authenticate=each)) for each in CHALLENGES),
            *(unknown(response(407, REFUSAL, Proxy_Authenticate=each)) for each in CHALLENGES),
        ),
        vector(
            "a response that is cut off leaves the outcome unknown",
            *(unknown(response(200, text=each, Content_Length="99")) for each in ("", '{"id": 1')),
            unknown(response(103, Link="</callback/10>")),
        ),
        vector("an id in another place or format is ignored", *map(unknown, places)),
        *(
            vector(
                f"{code} with an id is a rejection, or the outcome is unknown",
                rejected(error(code, id=10), alternative={"outcome": "unknown", "exchanges": 1}),
            )
            for code in (400, 403)
        ),
    ]


def argument_vectors() -> list[Json]:
    """Rule 8: arguments are sent unchanged."""
    delays = (0, 1, 59, 60, 3600, 86400, 604800, 2**31 - 1)
    texts = {
        "spaces": ("  two  blanks  each  ", "a\ttab", "\u00a0nbsp\u00a0"),
        "line breaks": ("a\nb", "a\r\nb", "a\rb", "a\u2028b", "a\n", "\na"),
        "keywords": words("0 00 null true {} [] 1e3 -1 NaN None undefined"),
        "special characters": words(MARKS),
        "sentences": ("ORDER 4711.", "order 4711", "One... two!!", "\u201eone\u201c, 'two'"),
        "Unicode normalization": words("e\u0301 \u00e9 \ufb01 \u212b \u2026 \u2013 \u00bd \uff11"),
        "invisible characters": [f"a{mark}b" for mark in "\u200b\u00ad\u200d\u202e\ufeff\x7f"],
        "languages": words("\u00e4\u00f6\u00fc\u00df \u4f60\u597d \u0645\u0631 \U0001f4de"),
        "length": ["x" * size for size in (161, 501, 1025, 4097)] + ["\u00fc" * 5000],
    }
    all_fields: Json = {"delay": 7, "agent_announcement": "Order 4711", "dtmf_key": "0"}
    return [
        vector(
            "each number is sent unchanged", *(rejected(number=each) for each in words(NUMBERS))
        ),
        vector("each delay is sent unchanged", *(rejected(delay=each) for each in delays)),
        vector("each phone key is sent", *(rejected(dtmf_key=each) for each in "0123456789*#")),
        *(
            vector(
                f"an announcement is sent unchanged: {name}",
                *(rejected(agent_announcement=each) for each in each_text),
            )
            for name, each_text in texts.items()
        ),
        vector(
            "arguments of a callback are not those of the previous one",
            rejected(**all_fields),
            rejected(),
            rejected(dtmf_key="#"),
            rejected(agent_announcement="Hello"),
            rejected(**all_fields, number=numbered(456)),
        ),
    ]


def poll_vectors() -> list[Json]:
    """Rules 4 and 5: failed status requests and final statuses."""
    codes = [_failed(code) for code in CODES if code not in {401, 403}]
    codes_like_it = (
        *words("NOT_BAD_CREDENTIALS BAD_CREDENTIALS_SOON bad_credentials BAD-CREDENTIALS BAD"),
        *("Bad credentials", "BAD CREDENTIALS", " BAD_CREDENTIALS", "BAD_CREDENTIALS\n"),
        *(["BAD_CREDENTIALS"], None, 400),
    )
    elsewhere = [
        *(error(400, code) for code in codes_like_it),
        error(400, "INVALID_VALUE", "BAD_CREDENTIALS: no"),
        error(400, "INVALID_FIELD", "Bad credentials", reason="BAD_CREDENTIALS"),
        response(400, {"error": {"error_code": "BAD_CREDENTIALS"}}),
        response(400, {"code": "BAD_CREDENTIALS"}),
        response(400, {"fields": ["BAD_CREDENTIALS"]}),
        response(400, [{"error_code": "BAD_CREDENTIALS"}]),
        response(400, text="BAD_CREDENTIALS"),
        response(400, text='{"error_code": "BAD_CREDENTIALS"'),
        response(400, {}, X_Error_Code="BAD_CREDENTIALS"),
        # A success has no error code.
        response(200, {"error_code": "BAD_CREDENTIALS"}),
    ]
    final_elsewhere = [
        *(
            response(200, {name: "DISCONNECTED"})
            for name in ("STATUS", "Status", "state", "result")
        ),
        *(response(200, {name: {"status": "DISCONNECTED"}}) for name in ("data", "callback")),
        response(200, {"status": {"status": "DISCONNECTED"}}),
        response(200, {"status": ["DISCONNECTED"]}),
        response(200, [{"status": "DISCONNECTED"}]),
        response(200, "DISCONNECTED"),
        response(200, text="DISCONNECTED"),
        response(200, text="status=DISCONNECTED"),
        response(200, {}, X_Status="DISCONNECTED"),
    ]
    failures = [error(503), {"disconnect": "close"}, response(200, text="{"), error(502)]
    # A client may stop after three rejections in a row.
    separated = [each for refusal in elsewhere for each in (found("CALLING_A"), refusal)]
    return [
        polled(
            "a status request is repeated after each HTTP status except 200, 401 and 403",
            *codes,
            **NO_PAUSE,
        ),
        polled(
            "BAD_CREDENTIALS in another place or format is not a rejection",
            *separated,
            statuses=("CALLING_A",),
            **NO_PAUSE,
        ),
        polled("a status in another place is ignored", *final_elsewhere, **NO_PAUSE),
        polled("no other status is final", *map(found, NOT_FINAL), statuses=NOT_FINAL, **NO_PAUSE),
        polled(
            "200 failures in a row do not end the polling",
            *(each | {"times": 50} for each in failures),
            **NO_PAUSE,
        ),
        polled(
            "a status that stays for 300 requests does not end the polling",
            found("CALLING_B") | {"times": 300},
            statuses=("CALLING_B",),
            **NO_PAUSE,
        ),
        polled(
            "a new status that stays for 300 requests does not end the polling",
            found("ON_HOLD") | {"times": 300},
            statuses=("ON_HOLD",),
            **NO_PAUSE,
        ),
    ]


def _failed(code: int) -> Json:
    """Return a failure whose body has a final status and resembles a rejection."""
    looks_like = {400: "SOME_CODE"}.get(code, "BAD_CREDENTIALS")
    return failure(code, code=looks_like, status="DISCONNECTED")


def report_vectors() -> list[Json]:
    """Rule 8: each status is reported once, in order and for its callback."""
    course = ("REQUESTED", "ACCEPTED", "CALLING_A", "CALLING_B", "CONNECTED")
    failed = error(503)
    interrupted = [each for status in course for each in (found(status), failed, found(status))]
    ends = {
        "CALL_A_FAILED": "agent_failed",
        "CALL_B_FAILED": "customer_failed",
        "DISCONNECTED": "connected",
    }

    def ending(number: int, *statuses: str) -> Json:
        answers = map(found, statuses)
        return call(
            *answers,
            outcome=ends[statuses[-1]],
            statuses=list(statuses),
            callback_id=number,
            number=numbered(number),
        )

    return [
        vector(
            "a Content-Type may have parameters and any letter case",
            *(
                call(
                    response(200, {"status": "DISCONNECTED"}, Content_Type=each),
                    start=response(200, {"id": 10}, Content_Type=each),
                    outcome="connected",
                    statuses=["DISCONNECTED"],
                )
                for each in MEDIA_TYPES
            ),
        ),
        polled("a failed request does not repeat a status", *interrupted, statuses=course),
        *(
            polled(
                f"the first status is {course[first]}",
                *map(found, course[first:]),
                statuses=course[first:],
            )
            for first in range(1, len(course))
        ),
        vector(
            "each callback is polled with its own id and reports its own statuses",
            ending(101, "CALLING_A", "CALL_A_FAILED"),
            ending(102, "CALL_A_FAILED"),
            ending(103, "CALLING_B", "CALL_B_FAILED"),
            ending(104, "CALLING_B", "CONNECTED", "DISCONNECTED"),
            ending(105, "DISCONNECTED"),
            ending(106, "DISCONNECTED"),
        ),
        vector(
            "each outcome is reported in order",
            ending(101, "DISCONNECTED"),
            rejected(),
            ending(102, "CALL_A_FAILED"),
            unknown(error(502)),
            ending(103, "CALL_B_FAILED"),
            call(error(403), outcome="status_unavailable"),
            ending(104, "DISCONNECTED"),
        ),
        vector(
            "a rejected callback is not polled, but the next one is",
            rejected(),
            unknown(error(500)),
            ending(107, "ACCEPTED", "DISCONNECTED"),
        ),
    ]


def pause_vectors() -> list[Json]:
    """Rule 6: the pause between two status requests."""
    failures = [
        error(503),
        {"disconnect": "close"},
        response(200, text="{"),
        error(404),
        response(200),
        response(200, text='{"status": "DIS', Content_Length="99"),
    ]

    def asked(status: int, seconds: str, pause: float = 0, name: str = "Retry-After") -> Json:
        limited = {"pause": pause} if pause else {}
        return {
            **error(status),
            "headers": {"Content-Type": JSON, name: seconds},
            **limited,
        }

    dates = (
        "Fri, 01 Jan 2100 00:00:00 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Friday, 01-Jan-10 00:00:00 GMT",
    )
    return [
        polled(
            "there is a pause after each response",
            found("REQUESTED"),
            found("CALLING_A"),
            found("CALLING_A"),
            *failures,
            found("CALLING_B"),
            statuses=("REQUESTED", "CALLING_A", "CALLING_B"),
            POLL_SECONDS="0.2",
        ),
        polled(
            "the pause is at least Retry-After",
            asked(503, "1", 1),
            asked(503, "1", 1, name="retry-after"),
            asked(429, "1", 1),
            MAX_PAUSE_SECONDS="5",
        ),
        polled(
            "the pause is at least MAX_PAUSE_SECONDS if Retry-After is longer",
            asked(503, "86400", 0.4),
            asked(429, "2", 0.4),
            asked(503, "2147483648", 0.4),
            MAX_PAUSE_SECONDS="0.4",
        ),
        polled(
            "Retry-After does not shorten the pause",
            asked(503, "0"),
            asked(429, "0"),
            *(asked(503, date) for date in dates),
            POLL_SECONDS="0.2",
        ),
    ]


def secrecy_vectors() -> list[Json]:
    """Rule 7: the access key is not shown, in any spelling in a response."""
    escaped = "".join(f"\\u{ord(character):04x}" for character in KEY)
    spellings = {
        "in plain text": KEY,
        "in lower case": KEY.lower(),
        "in base64": base64.b64encode(KEY.encode()).decode(),
        "in hexadecimal": KEY.encode().hex(),
        "percent-encoded": "".join(f"%{ord(character):02X}" for character in KEY),
        "as character references": "".join(f"&#{ord(character)};" for character in KEY),
        "in the middle of a text": f"{'x' * 80}{KEY}{'x' * 80}",
        "without its end": KEY[:-3],
    }
    shown = {
        name: [
            error(400, "INVALID_VALUE", f"Invalid value - '{spelled}'"),
            error(400, spelled),
            error(400, "INVALID_FIELD", spelled, fields=[spelled], hint=spelled),
            response(400, text=f"<p>{spelled}</p>"),
            response(400, {}, WWW_Authenticate=f'Basic realm="{spelled}"', Location=spelled),
        ]
        for name, spelled in spellings.items()
    }
    shown["escaped in JSON"] = [
        response(
            400, text=f'{{"error_code": "{code}", "error_message": "{escaped}", "fields": []}}'
        )
        for code in ("SOME_CODE", escaped)
    ]
    return [
        vector(
            f"the key {name} is not shown",
            *(rejected(each) for each in answers),
            *(unknown({**each, "status": status}) for each in answers for status in (200, 502)),
            call(
                *({**each, "status": status} for each in answers for status in (200, 503)),
                {**answers[0], "status": 403},
                outcome="status_unavailable",
            ),
        )
        for name, answers in shown.items()
    ]


def text() -> str:
    vectors = [
        *start_vectors(),
        *argument_vectors(),
        *poll_vectors(),
        *report_vectors(),
        *pause_vectors(),
        *secrecy_vectors(),
    ]
    lines = [f'{{\n  {_line("about", ABOUT)},\n  "vectors": [']
    lines.append(",\n".join(f"    {{\n{_members(each, 6)}\n    }}" for each in vectors))
    return "\n".join([*lines, "  ]\n}\n"])


def _members(part: Json, indent: int) -> str:
    """Return the members of a vector or a callback, with a line for each exchange."""
    space = " " * indent
    found_lines = []
    for name, value in part.items():
        if name == "exchanges":
            inner = ",\n".join(f"{space}  {_json(each)}" for each in value)
            found_lines.append(f'{space}"exchanges": [\n{inner}\n{space}]')
        elif name == "then":
            inner = ",\n".join(
                f"{space}  {_json(each)}"
                if len(each["exchanges"]) == 1
                else f"{space}  {{\n{_members(each, indent + 4)}\n{space}  }}"
                for each in value
            )
            found_lines.append(f'{space}"then": [\n{inner}\n{space}]')
        else:
            found_lines.append(f"{space}{_line(name, value)}")
    return ",\n".join(found_lines)


def _line(name: str, value: object) -> str:
    return f"{_json(name)}: {_json(value)}"


def _json(value: object) -> str:
    """Return JSON with invisible characters escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)


def main() -> int:
    written = text()
    if "--check" not in sys.argv:
        TARGET.write_text(written, encoding="utf-8")
    elif not TARGET.exists() or TARGET.read_text(encoding="utf-8") != written:
        print(f'{TARGET.name} is out of date. Run "make generate" and commit the result.')
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
