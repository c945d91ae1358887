"""
The guard of the pytest plugin, which refuses connections to TENIOS.

It has three parts:

- Wrappers around the functions that resolve names, connect, send and start TLS. They work even if a
  test has replaced name resolution, and behind a proxy. Other code may replace these functions, as
  gevent's ``monkey.patch_all()`` does, so :meth:`Guard.renew` wraps them again.
- An audit hook, which each Python socket calls. It sees neither proxies nor native code.
- The environment variable TENIOS_OFFLINE, which stops this package's clients, including those in
  programs that a test starts.

All three stay active after the test run, because threads and ``atexit`` handlers may outlive it.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
import sys
from contextlib import contextmanager, suppress
from functools import cache, wraps
from importlib import import_module
from mmap import mmap
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _pytest.outcomes import Failed

if not TYPE_CHECKING:
    Failed = pytest.fail.Exception  # the public name, which type checkers do not accept as a class

HOST = "api.tenios.com"
MARK = "tenios_live"
HINT = (
    f"A test tried to reach {HOST}. Nothing was sent. Use the fixture `tenios` or `async_tenios`, "
    "or pass the `transport` and `clock` of `tenios_simulator` to your own client. To call real "
    f"phones in this test, mark it with @pytest.mark.{MARK}."
)
_LATE_HINT = (
    f"A thread or an atexit handler tried to reach {HOST} after the test run. Nothing was sent. To "
    "call real phones after pytest has run, start a new process."
)
_OFFLINE = "TENIOS_OFFLINE"
# Names, because some plugins load a module again.
_SOCKET_MODULES = (socket.__name__, "gevent.socket")
_TLS_MODULES = (ssl.__name__, "gevent.ssl")
_MISSING = object()
# The start of a proxy request with a host: CONNECT, unencrypted HTTP, and SOCKS5 with a name.
_PROXY_REQUEST = re.compile(
    rb"(?:CONNECT |[A-Z]{1,20} \w{1,10}://(?:[^/@\s]{0,500}@)?|\x05\x01\x00\x03.)([\w.-]{1,255})",
    re.DOTALL,
)


class ReachedTeniosError(Failed):
    """
    A test tried to reach TENIOS. ``except Exception`` does not catch it, as with pytest's failures.
    """

    def add_note(self, note: str) -> None:
        """Drop the client's note that phones may be ringing, because nothing was sent."""


class Guard:
    """Refuses connections to TENIOS once started, except during live tests."""

    def __init__(self) -> None:
        self._runs = 0
        self._is_open = False
        # Shared with forked processes, so that a refusal there also fails the test.
        self._refused = mmap(-1, 1)
        # Weak, because code that has replaced a wrapper may put it back or drop it.
        self._wrappers: WeakSet[Callable[..., Any]] = WeakSet()

    def start(self) -> None:
        """
        Start to refuse connections. Exempts TENIOS from the proxies in the environment, so that an
        unreachable proxy does not hide a refusal.
        """
        self._runs += 1
        for name in ("no_proxy", "NO_PROXY"):
            exempt = os.environ.get(name)
            if exempt != "*":  # means all hosts, but only on its own
                os.environ[name] = ",".join(filter(None, [exempt, HOST]))
        with suppress(ImportError):
            import_module("uvloop")  # so that it is wrapped before a test uses it
        _add_audit_hook()
        self.renew()

    def end(self) -> None:
        """Note that the test run has ended. The guard still refuses connections."""
        self._runs -= 1
        self.renew()

    @contextmanager
    def during_test(self, *, is_live: bool) -> Iterator[None]:
        """Allow connections during a live test, unless another test runs it with pytester."""
        before = self._is_open
        self._is_open = is_live and (before or self._runs == 1)
        self.renew()
        try:
            yield
        finally:
            self._is_open = before
            self.renew()

    def renew(self) -> None:
        """Wrap the functions that other code has replaced, and set TENIOS_OFFLINE again."""
        if self._is_open:
            os.environ.pop(_OFFLINE, None)
        else:
            os.environ[_OFFLINE] = "1"
        for module in _loaded(*_SOCKET_MODULES):
            for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
                self._check_host(module, name, 0)
            self._check_address(module, "create_connection", 0)
            for name in ("connect", "connect_ex"):
                self._check_address(getattr(module, "socket", None), name, 1)
            for name in ("send", "sendall"):
                self._check_data(getattr(module, "socket", None), name)
        for module in _loaded(*_TLS_MODULES):
            context = getattr(module, "SSLContext", None)
            self._check_host(context, "wrap_bio", 4, keyword="server_hostname")
            self._check_host(context, "wrap_socket", 5, keyword="server_hostname")
        for module in _loaded("uvloop"):
            loop = getattr(module, "Loop", None)
            self._check_host(loop, "getaddrinfo", 1)
            self._check_host(loop, "create_connection", 2)
            self._check_host(loop, "start_tls", 5, keyword="server_hostname")
            self._check_address(loop, "sock_connect", 2)

    def refuse_if_tenios(self, host: object) -> None:
        """Fail the running test if *host* is TENIOS, unless the test is live."""
        if is_tenios(host) and not self._is_open:
            self._refused[0] = 1
            raise ReachedTeniosError(HINT if self._runs else _LATE_HINT, pytrace=True)

    def pop_refused(self) -> bool:
        """Return whether a connection was refused since the last call."""
        refused, self._refused[0] = bool(self._refused[0]), 0
        return refused

    def _check_host(
        self, owner: object, name: str, position: int, *, keyword: str = "host"
    ) -> None:

        self._wrap(owner, name, lambda args, kwargs: _argument(args, kwargs, position, keyword))

    def _check_address(self, owner: object, name: str, position: int) -> None:

        self._wrap(
            owner, name, lambda args, kwargs: _host_in(_argument(args, kwargs, position, "address"))
        )

    def _check_data(self, owner: object, name: str) -> None:

        self._wrap(owner, name, lambda args, _: _host_asked_for(_argument(args, {}, 1, "")))

    def _wrap(
        self, owner: object, name: str, host: Callable[[tuple[Any, ...], dict[str, Any]], object]
    ) -> None:
        """Wrap a function so that it refuses TENIOS; *host* returns the host in its arguments."""
        if not isinstance(owner, type | ModuleType):
            return  # a test has replaced a class
        current = _raw_attribute(owner, name)
        if self._is_wrapper(current) or not _is_function(current):
            return
        original = getattr(owner, name)

        @wraps(original)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            self.refuse_if_tenios(host(args, kwargs))
            return original(*args, **kwargs)

        # A class in C cannot be changed, but the audit hook sees its connections.
        with suppress(AttributeError, TypeError):
            setattr(owner, name, guarded)
            self._wrappers.add(guarded)

    def _is_wrapper(self, value: Any) -> bool:
        return isinstance(value, FunctionType) and value in self._wrappers


def is_tenios(host: object) -> bool:
    """Return whether *host* is TENIOS, in any form that sockets accept."""
    name = host.decode("ascii", "replace") if isinstance(host, bytes | bytearray) else host
    if not isinstance(name, str):
        return False
    with suppress(UnicodeError):  # other scripts have dots and letters that mean the same
        name = name.encode("idna").decode()
    return name.rstrip(".").lower() == HOST


def _loaded(*names: str) -> Iterator[ModuleType]:

    for name in names:
        module = sys.modules.get(name)
        if isinstance(module, ModuleType):
            yield module


def _raw_attribute(owner: type | ModuleType, name: str) -> object:
    """Return an attribute without binding it, including an inherited one."""
    namespaces = map(vars, owner.__mro__) if isinstance(owner, type) else [vars(owner)]
    return next((each[name] for each in namespaces if name in each), _MISSING)


def _is_function(value: object) -> bool:
    """Return whether *value* is a function, and not a mock, which must stay as it is."""
    return isinstance(value, BuiltinFunctionType) or hasattr(type(value), "__get__")


def _argument(args: tuple[Any, ...], kwargs: dict[str, Any], position: int, keyword: str) -> object:
    return kwargs[keyword] if keyword in kwargs else next(iter(args[position:]), None)


def _host_asked_for(data: Any) -> object:
    """Return the host in *data* if it is the start of a proxy request."""
    with suppress(TypeError):  # not bytes
        if found := _PROXY_REQUEST.match(data):
            return found[1]
    return None


def _host_in(address: object) -> object:
    return address[0] if isinstance(address, tuple | list) and address else None


GUARD = Guard()
_HOST_OF_EVENT: dict[str, Callable[[tuple[Any, ...]], object]] = {
    "socket.getaddrinfo": lambda args: args[0],
    "socket.gethostbyname": lambda args: args[0],
    "socket.connect": lambda args: _host_in(args[1]),
    # This package's clients raise it when they refuse because of TENIOS_OFFLINE.
    "tenios_ext.refused": lambda _: HOST,
}


@cache
def _add_audit_hook() -> None:
    sys.addaudithook(_refuse_event)


def _refuse_event(event: str, args: tuple[Any, ...]) -> None:
    if event in _HOST_OF_EVENT:
        GUARD.refuse_if_tenios(_HOST_OF_EVENT[event](args))
