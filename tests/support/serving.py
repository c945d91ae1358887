from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tenios_simulator.server import Server

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tenios_simulator import Simulator


@contextmanager
def serving(
    simulator: Simulator, port: int = 0, allowed_hosts: Collection[str] = ()
) -> Iterator[Server]:
    """Yield a server that is listening, by default on a free port, and stop it afterwards."""
    server = Server(simulator, port=port, allowed_hosts=allowed_hosts)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join()
