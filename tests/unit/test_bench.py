"""Which benches `make bench` takes, and which of their figures it keeps."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.build import PROJECT
from tests.benchmarks.__main__ import main
from tests.benchmarks.figures import read_figure

_BENCH = """
import pytest

@pytest.fixture(scope="session")
def run():
    return {}

def test_first(record):
    record("first", 1, "s")

def test_second(record):
    ACT
    record("second", 2, "s", at_most=1)
"""


def test_one_line_names_the_benches_when_one_is_unknown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tests.benchmarks.__main__.pytest.main", lambda _: pytest.fail("it is run"))
    assert main(["queue", "nosuch"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("There is no bench nosuch. There are: main_job, ")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("act", "kept"),
    [("pass", ["first", "second"]), ("assert False", ["old"]), ("raise KeyboardInterrupt", ["old"])],
)
def test_figures_of_a_module_are_kept_when_it_has_run_to_its_end(tmp_path: Path, act: str, kept: list[str]) -> None:
    results, bench = tmp_path / "some.jsonl", tmp_path / "test_some.py"
    results.write_text('{"figure": "old", "value": 0, "unit": "s"}\n')
    bench.write_text(_BENCH.replace("ACT", act))
    program = f"""
import pathlib, pytest, sys
import tests.benchmarks.conftest as benchmarks
benchmarks.RESULTS = pathlib.Path({str(tmp_path)!r})
sys.exit(pytest.main(["--record", "-p", "no:cacheprovider", "--rootdir", {str(tmp_path)!r}, "-c", "/dev/null",
    {str(bench)!r}], plugins=[benchmarks]))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(PROJECT / "layers/core"), str(PROJECT)))}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode in (1, 2), done.stdout + done.stderr  # the second misses its bound
    assert [read_figure(line).figure for line in results.read_text().splitlines()] == kept
