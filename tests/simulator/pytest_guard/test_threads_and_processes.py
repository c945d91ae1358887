"""The guard in threads, forks and programs of a test, and after the test run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from support.plugin_runs import assert_all_refused, counts, run, run_alone

if TYPE_CHECKING:
    import pytest

TESTS = str(Path(__file__).resolve().parents[2])


def test_thread_that_is_refused_fails_its_test(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import threading, pytest
        from tenios_ext import Tenios
        def reach():
            with Tenios("KEY", "CONFIG") as tenios:
                tenios.start_callback("+49 221 4710123")
        @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
        def test_it():
            thread = threading.Thread(target=reach)
            thread.start()
            thread.join()
        """,
    )
    assert_all_refused(result)


def test_fork_that_is_refused_fails_its_test_and_no_other(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import multiprocessing, os, socket
        def test_fork():
            child = os.fork()
            if not child:
                try:
                    socket.getaddrinfo("api.tenios.com", 443)
                finally:
                    os._exit(0)
            os.waitpid(child, 0)
        def test_other():
            pass
        def test_multiprocessing():
            arguments = ("api.tenios.com", 443)
            fork = multiprocessing.get_context("fork")
            child = fork.Process(target=socket.getaddrinfo, args=arguments)
            child.start()
            child.join()
        """,
    )
    assert counts(result) == {"passed": 1, "failed": 2}, result.stdout.str()
    result.stdout.fnmatch_lines(["FAILED *::test_fork*", "FAILED *::test_multiprocessing*"])


def test_program_that_a_test_starts_sends_nothing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The unreachable proxy keeps the program from TENIOS if the guard fails."""
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    pytester.makepyfile(
        program="""
        from tenios_ext import Tenios
        Tenios("KEY", "CONFIG").start_callback("+49 221 4710123")
        """
    )
    result = run(
        pytester,
        """
        import subprocess, sys
        def test_it(monkeypatch):
            for name in ("no_proxy", "NO_PROXY"):
                monkeypatch.delenv(name)
            program = subprocess.run([sys.executable, "program.py"], capture_output=True, text=True)
            assert "TENIOS_OFFLINE is set, as in a test run, so nothing is sent" in program.stderr
        """,
    )
    assert counts(result) == {"passed": 1}, result.stdout.str()


def test_thread_and_exit_handler_that_outlive_the_run_are_refused(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeconftest(
        """
        import os, pytest, sys
        from support.plugin_runs import fail_outside
        @pytest.hookimpl(trylast=True)
        def pytest_configure():
            sys.addaudithook(fail_outside)  # follows the guard's
        def pytest_unconfigure():
            del os.environ["TENIOS_OFFLINE"]
        """
    )
    monkeypatch.setenv("PYTHONPATH", TESTS)
    result = run_alone(
        pytester,
        monkeypatch,
        """
        import atexit, os, pytest, socket, threading
        from tenios_ext import Tenios

        def dial():
            with Tenios("KEY", "CONFIG") as tenios:
                tenios.start_callback("+49 221 4710123")

        def ask_a_proxy():
            with socket.create_server(("127.0.0.1", 0)) as listener:
                with socket.create_connection(listener.getsockname()) as sock:
                    sock.sendall(b"CONNECT api.tenios.com:443 HTTP/1.1\\r\\n\\r\\n")

        def after_the_run(reach):
            threading.main_thread().join()
            assert os.environ["TENIOS_OFFLINE"]
            reach()

        def test_it():
            for reach in (dial, ask_a_proxy):
                threading.Thread(target=after_the_run, args=[reach]).start()
            atexit.register(socket.getaddrinfo, "api.tenios.com", 443)

        @pytest.mark.tenios_live
        def test_live():
            pass
        """,
    )
    assert counts(result) == {"passed": 2}, result.stdout.str()
    errors = [line for line in result.errlines if "Error: " in line]
    refused = [line for line in errors if "ReachedTeniosError: A thread or an atexit" in line]
    assert len(errors) == len(refused) == 3, result.stderr.str()


def test_run_inside_of_a_test_leaves_the_guard_as_it_is(pytester: pytest.Pytester) -> None:
    """A marked test of the inner run may reach TENIOS only if the outer test is marked as well."""
    pytester.makepyfile(
        inner="""
        import pytest, socket
        @pytest.mark.tenios_live
        def test_inner():
            with pytest.raises(OSError, match="looked up"):
                socket.getaddrinfo("api.tenios.com", 443)
        """
    )
    result = run(
        pytester,
        """
        import pytest, socket
        def run():
            plugin = "tenios_simulator.pytest_plugin"
            return pytest.main(["-p", "no:cacheprovider", "-p", plugin, "inner.py"])
        def test_not_live():
            assert run() == pytest.ExitCode.TESTS_FAILED
        @pytest.mark.tenios_live
        def test_live():
            assert run() == pytest.ExitCode.OK
            with pytest.raises(OSError, match="looked up"):
                socket.getaddrinfo("api.tenios.com", 443)
        def test_after_another_run():
            run()
            socket.getaddrinfo("api.tenios.com", 443)
        """,
    )
    assert counts(result) == {"passed": 2, "failed": 1}, result.stdout.str()
    result.stdout.fnmatch_lines(["E*A test tried to reach api.tenios.com*"])
