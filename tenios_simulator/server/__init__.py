"""The simulator over HTTP: TENIOS's operations, a control API and a console for the browser."""

from ._server import Server

__all__ = ["Server"]
