"""README's commands, run as they stand there."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from local.ports import free_port
from tests.e2e.system import PROJECT

_README = (PROJECT / "README.md").read_text()
_BLOCKS = re.findall(r"^```bash\n(.*?)^```", _README, re.MULTILINE | re.DOTALL)


def test_first_two_commands_are_run_and_test_when_a_newcomer_reads() -> None:
    assert _BLOCKS[0].split("\n")[:2] == ["make run", "make test"]


def test_first_success_is_had_when_the_commands_are_run(tmp_path: Path) -> None:
    start, ask, index = (_only(_BLOCKS, word) for word in ("make run SPEC=", "search?q=", "/upload"))
    environment = {**os.environ, "PORT": str(free_port()), "DATA_DIR": str(tmp_path)}
    log = tmp_path / "run.log"
    with log.open("wb") as output:
        running = subprocess.Popen(
            ["bash", "-c", f"exec {start}"], cwd=PROJECT, env=environment, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 240
        while b"are searchable" not in log.read_bytes():
            assert running.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        script = f"set -eu\n{ask}\necho\n{index}".replace(".local/", f"{tmp_path}/")
        said = subprocess.run(["bash", "-c", script], cwd=PROJECT, capture_output=True, text=True, check=False)
    finally:
        os.killpg(running.pid, signal.SIGINT)  # as Ctrl-C does: to make and to what it started
        running.wait(timeout=60)

    assert said.returncode == 0, said.stderr
    found, *rest = said.stdout.split("\n", 1)
    assert "POST /loans/{loanId}/return" in {f"{o['method']} {o['path']}" for o in json.loads(found)["operations"]}
    assert '"operation_count":4' in rest[0].replace(" ", "")
    assert not (tmp_path / "endpoint.json").exists()


def test_each_event_is_answered_when_make_invokes_the_functions() -> None:
    command = _only(_BLOCKS, "make invoke")
    # As from a shell: below a make that runs the tests it would say which directory it enters.
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKELEVEL", "MAKEFLAGS")}
    done = subprocess.run(
        ["bash", "-c", command], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    uploaded, woken, found = _documents(done.stdout)
    assert uploaded["statusCode"] == 201
    assert woken == {"batchItemFailures": []}
    assert "bookPassage" in {operation["operation_id"] for operation in json.loads(found["body"])["operations"]}
    assert '"message":"slice ended"' in done.stderr  # the function's own log


def test_one_line_says_what_is_wrong_when_make_invoke_is_given_no_event() -> None:
    done = subprocess.run(
        ["make", "--silent", "invoke", "EVENT=events/none.json"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].startswith("EVENT events/none.json cannot be read")
    assert "Traceback" not in done.stderr


def test_every_event_is_named_in_operations_when_a_file_is_added() -> None:
    operations = (PROJECT / "docs" / "operations.md").read_text()
    assert [path.name for path in (PROJECT / "events").iterdir() if path.name not in operations] == []


def _documents(text: str) -> list[dict[str, Any]]:
    """Return the JSON documents that follow each other in a text."""
    documents, decoder = [], json.JSONDecoder()
    while text := text.lstrip():
        document, end = decoder.raw_decode(text)
        documents.append(document)
        text = text[end:]
    return documents


def _only(blocks: list[str], word: str) -> str:
    (block,) = [block for block in blocks if word in block]
    return block.strip()
