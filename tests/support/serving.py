"""The simulator over HTTP, in a thread of the test's own process."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tenios_ext.simulator.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenios_ext.simulator import Simulator


@contextmanager
def serving(simulator: Simulator, port: int = 0) -> Iterator[Server]:
    """A server on a free port, which listens before anybody is told of it, and is stopped at the end."""
    server = Server(simulator, port=port)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join()
