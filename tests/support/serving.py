from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn

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


@contextmanager
def serving_app(app: Any) -> Iterator[str]:
    """Serve an ASGI application on a free port and yield its address."""
    config = uvicorn.Config(app, port=0, log_level="warning")
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        socket.close()
