"""What SPEC names."""

from pathlib import Path

import pytest

from local.indexing import read_document


@pytest.mark.parametrize(
    ("file", "spec_name"),
    [
        ("library.yaml", "library"),
        ("github_octokit.json.gz", "github_octokit"),
        ("My API (v2).json", "my-api-v2"),
        ("no-extension", "no-extension"),
        ("...yaml", "spec"),
        (f"{'x' * 90}.json", "x" * 64),
    ],
)
def test_spec_name_comes_from_the_file_when_it_is_read(tmp_path: Path, file: str, spec_name: str) -> None:
    (tmp_path / file).write_bytes(b"content")
    document = read_document(str(tmp_path / file))
    assert (document.spec_name, document.raw) == (spec_name, b"content")
