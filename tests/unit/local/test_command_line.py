"""A run that cannot start says so in one line, and starts nothing."""

import fcntl
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local.build import PROJECT
from local.command_line import run
from local.errors import LocalRunError
from local.system import Options, running


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"workers": "many"}, "WORKERS takes a whole number from 0 to 1000, not 'many'."),
        ({"port": "http"}, "PORT takes a whole number from 1 to 65535, not 'http'."),
        ({"port": "65536"}, "PORT takes a whole number from 1 to 65535, not '65536'."),
        ({"embed_timeout_seconds": "901"}, "EMBED_TIMEOUT_SECONDS takes a whole number from 1 to 900, not '901'."),
        (
            {"embedding_query_timeout_seconds": "0"},
            "EMBEDDING_QUERY_TIMEOUT_SECONDS takes a whole number from 1 to 15, not '0'.",
        ),
        ({"embedding_provider": "ollama"}, "EMBEDDING_PROVIDER=ollama needs EMBEDDING_URL, such as"),
        ({"spec": "/nowhere/at-all.yaml"}, "SPEC /nowhere/at-all.yaml cannot be read (No such file or directory)"),
        ({"spec": "http://127.0.0.1:1/spec.yaml"}, "SPEC http://127.0.0.1:1/spec.yaml cannot be fetched ("),
        ({"spec": __file__}, f"SPEC {__file__} cannot be indexed: "),
        ({"embedding_model": "nosuch"}, "EMBEDDING_MODEL is all-MiniLM-L6-v2 or empty where EMBEDDING_PROVIDER is"),
        ({"function_variable": ["LEASE_SECONDS"]}, "--function-variable takes NAME=VALUE, not 'LEASE_SECONDS'."),
    ],
)
def test_run_ends_with_one_line_when_a_value_is_wrong(
    given: dict[str, Any], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(**given)
    said = capsys.readouterr()
    assert ended.value.code == 2
    assert said.out == ""
    assert said.err.startswith(complaint)
    assert said.err.count("\n") == 1


def test_run_names_the_folder_when_the_system_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device", "/some/file")

    monkeypatch.setattr("local.command_line.running", no_room)
    monkeypatch.setattr("local.command_line._end_in_order", lambda: None)  # the handlers here are pytest's
    with pytest.raises(SystemExit):
        run(data_dir=str(tmp_path))
    said = capsys.readouterr().err
    assert "No space left on device: '/some/file': make room" in said
    assert f"another DATA_DIR than {tmp_path}." in said


@pytest.mark.parametrize("found", ["SIG_DFL", "SIG_IGN"])
@pytest.mark.parametrize("ending", ["SIGHUP", "SIGINT", "SIGTERM"])
def test_signal_ends_a_run_when_it_is_not_ignored_or_is_sigterm(found: str, ending: str) -> None:
    program = f"""
import signal
from local.command_line import _end_in_order

signal.signal(signal.{ending}, signal.{found})
_end_in_order()
try:
    signal.raise_signal(signal.{ending})
    print("goes on")
except KeyboardInterrupt:
    print("ended")
"""
    environment = {**os.environ, "PYTHONPATH": "layers/core:."}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=PROJECT, env=environment
    )
    assert done.stdout.strip() == ("goes on" if found == "SIG_IGN" and ending != "SIGTERM" else "ended")


def _start(port: int, folder: Path) -> str:
    with pytest.raises(LocalRunError) as refused, running(Options(port, folder, {}, {}), lambda step: None):
        pass
    return str(refused.value)


def test_run_names_another_port_when_its_own_is_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert _start(port, tmp_path).startswith(f"PORT {port} is in use: choose another, such as PORT=")


def test_run_asks_for_another_folder_when_its_own_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert _start(1, tmp_path / "file" / "data").startswith(f"DATA_DIR {tmp_path}/file/data cannot be used (Not a dir")


def test_run_asks_for_another_folder_when_a_run_has_it(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711")
        lock.flush()
        assert _start(1, tmp_path) == f"DATA_DIR {tmp_path} is in use by process 4711: stop that, or choose another."
