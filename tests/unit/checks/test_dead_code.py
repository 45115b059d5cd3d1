"""What nothing uses."""

from pathlib import Path

import pytest

from checks.dead_code import unused_code, unused_statements


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "layers" / "core" / "opdex" / "jobs"
    folder.mkdir(parents=True)
    return folder


def test_functions_classes_and_constants_are_told_when_nothing_uses_them(tmp_path: Path, package: Path) -> None:
    (package / "store.py").write_text(
        "LIMIT = 1\nUSED = 2\n\n\ndef forgotten() -> int:\n    return USED\n\n\nclass Lost:\n    field: int = 0\n"
    )
    told = sorted(line.partition(": ")[2] for line in unused_code(tmp_path))
    assert told == ["unused class 'Lost'", "unused function 'forgotten'", "unused variable 'LIMIT'"]


def test_code_is_let_be_when_a_test_uses_it_or_a_library_calls_it(tmp_path: Path, package: Path) -> None:
    (package / "store.py").write_text("def read() -> int:\n    return 1\n")
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "test_store.py").write_text(
        "import pytest\nfrom opdex.jobs.store import read\n\n\n"
        "@pytest.fixture\ndef rows() -> int:\n    return read()\n\n\n"
        "def test_read_is_one_when_asked(rows: int) -> None:\n    assert rows == 1\n"
    )
    assert list(unused_code(tmp_path)) == []


def test_statement_is_told_when_no_module_that_loads_its_file_names_it(tmp_path: Path, package: Path) -> None:
    (package / "jobs.sql").write_text("-- name: used\nSELECT 1;\n\n-- name: dead\nSELECT 2;\n")
    (package / "store.py").write_text('_SQL = load_statements("opdex.jobs", "jobs.sql")\n_SQL["used"]\n')
    (package / "beside.py").write_text('_SQL = load_statements("opdex.jobs", "others.sql")\n_SQL["dead"]\n')
    assert [line.rpartition(" ")[2] for line in unused_statements(tmp_path)] == ["dead"]
