"""The class that contains the access key."""

from __future__ import annotations

import html
import json
import pickle
import re
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from tenios_ext._secret import Secret

KEY = "CANARY-KEY"


def test_secret_is_no_text_that_could_be_printed_cut_or_encoded() -> None:
    secret = Secret(KEY)
    assert not isinstance(secret, str)
    assert f"{secret} {secret!r} {secret!s} %s %r" % (secret, secret) == "*** *** *** *** ***"
    with pytest.raises(TypeError):
        json.dumps({"access_key": secret})
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(secret)
    assert secret.reveal() == KEY
    assert secret.redact(f"{KEY} and {KEY}") == "*** and ***"


@pytest.mark.parametrize(
    "key", ["CANARY-KEY", 'schl\u00fcssel"4/7\\1 &', "a'b<c>+%2F", "\U0001f511"]
)
@pytest.mark.parametrize(
    "write",
    [
        str,
        repr,
        ascii,
        lambda key: repr(key.encode()),
        json.dumps,
        lambda key: json.dumps(json.dumps(key)),
        lambda key: json.dumps({"body": json.dumps({"access_key": key}, ensure_ascii=False)}),
        lambda key: json.dumps(key).replace("/", "\\/"),
        lambda key: json.dumps(key).replace("\\u00fc", "\\u00FC"),
        quote,
        quote_plus,
        lambda key: quote(key, safe=""),
        lambda key: re.sub("%..", lambda found: found[0].lower(), quote(key, safe="")),
        html.escape,
        lambda key: json.dumps(repr(key)),
        lambda key: repr(repr(key.encode())),
        lambda key: json.dumps(json.dumps(json.dumps(repr(repr(key))))),
    ],
)
def test_key_is_masked_in_each_spelling(key: str, write: Any) -> None:
    masked = Secret(key).redact(f"before {write(key)} after")
    assert "***" in masked
    # Quotation marks, backslashes and field names around the key.
    assert re.sub(r"before|after|body|access_key|\bb(?=['\"\\])|[^\w%]", "", masked) == ""
