"""
Postpones a fork until no other thread is in an SQLite transaction.

SQLite keeps a list of the locks that its process holds on each file. A child would inherit those of
other threads, which do not exist in it, and wait for them forever.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from .._clock import running_time
from .._threads import LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator

# Written in C, so that a signal handler cannot raise while it is held. Held during a fork.
_beginning = threading.RLock()
_threads: set[int] = set()


@contextmanager
def no_fork() -> Iterator[None]:
    """Forks by other threads wait for the end of this block, for at most ten seconds."""
    thread = threading.get_ident()
    if thread in _threads:
        yield
        return
    try:
        with _beginning:
            _threads.add(thread)
        yield
    finally:
        _threads.discard(thread)


def _wait() -> None:
    _beginning.acquire()
    end = running_time() + LIMIT
    while _threads - {threading.get_ident()} and running_time() < end:
        time.sleep(0.001)


def _resume() -> None:
    with suppress(RuntimeError):  # A server written in C may fork without calling _wait.
        _beginning.release()


def _resume_in_child() -> None:
    _threads.clear()
    _resume()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_wait, after_in_parent=_resume, after_in_child=_resume_in_child)
