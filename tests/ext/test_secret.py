"""What the class that holds the access key does not do."""

from __future__ import annotations

import json
import pickle

import pytest

from tenios_ext._secret import Secret
from tenios_ext._settings import Settings

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
    assert Settings(access_key=secret).access_key is secret
