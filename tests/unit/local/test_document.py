"""What SPEC names."""

import gzip
import os
from pathlib import Path

import pytest

from local.errors import LocalRunError
from local.indexing import read_document
from tests.zips import packed

_DOCUMENT = b'{"openapi": "3.1.0", "info": {"title": "T", "version": "1"}, "paths": {}}'


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
    (tmp_path / file).write_bytes(_DOCUMENT)
    document = read_document(str(tmp_path / file))
    assert (document.spec_name, gzip.decompress(document.body)) == (spec_name, _DOCUMENT)


def test_document_is_sent_as_it_is_when_it_is_packed_already(tmp_path: Path) -> None:
    packed = gzip.compress(_DOCUMENT, 1)
    (tmp_path / "packed.json").write_bytes(packed)
    assert read_document(str(tmp_path / "packed.json")).body == packed


_FILES: dict[str, str | bytes] = {
    "v1/openapi.yaml": "openapi: 3.1.0\ninfo: {title: T, version: '1'}\npaths: {/users: {$ref: ../users.yaml}}\n",
    "users.yaml": "get: {summary: List the users}\n",
}


def test_zip_is_sent_as_it_is_when_its_document_is_clear(tmp_path: Path) -> None:
    (tmp_path / "users.zip").write_bytes(packed(_FILES))
    document = read_document(str(tmp_path / "users.zip"))
    assert (document.spec_name, document.body, document.entry) == ("users", packed(_FILES), None)


def test_entry_decides_when_a_zip_has_several_documents(tmp_path: Path) -> None:
    (tmp_path / "users.zip").write_bytes(packed(_FILES | {"v2/openapi.json": _DOCUMENT}))
    assert read_document(str(tmp_path / "users.zip"), "v2/openapi.json").entry == "v2/openapi.json"
    complaint = "ENTRY: name the file that the document begins in; perhaps 'v1/openapi.yaml', 'v2/openapi.json'"
    with pytest.raises(LocalRunError, match=complaint):
        read_document(str(tmp_path / "users.zip"))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "The document is empty"),
        (b"<html>not found</html>", "This is an HTML or XML page"),
        (b'{"openapi": "3.1.0"', "The document "),
        (b'{"openapi": "4.0.0", "paths": {}}', "is not understood"),
        (gzip.compress(_DOCUMENT)[:-9], "The gzip data is damaged or cut off"),
    ],
)
def test_document_is_refused_in_one_line_when_it_could_not_be_indexed(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    (tmp_path / "spec.yaml").write_bytes(content)
    with pytest.raises(LocalRunError) as refused:
        read_document(str(tmp_path / "spec.yaml"))
    said = str(refused.value)
    assert said.startswith(f"SPEC {tmp_path / 'spec.yaml'} cannot be indexed: ")
    assert complaint in said
    assert "\n" not in said


def test_document_is_refused_when_no_function_could_take_it(tmp_path: Path) -> None:
    noise = os.urandom(3_000_000).hex().encode()  # gzip halves it
    (tmp_path / "large.json").write_bytes(_DOCUMENT[:-1] + b', "x-noise": "' + noise + noise[:4_000_000] + b'"}')
    with pytest.raises(LocalRunError, match=r"cannot be sent \([0-9.]+ MB packed, a function takes 4.7 MB\): split it"):
        read_document(str(tmp_path / "large.json"))
