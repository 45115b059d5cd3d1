import pytest

from opdex.openapi.description import Findings
from opdex.openapi.document import read_document
from opdex.openapi.limits import Budget, Limits
from opdex.openapi.numeral import Numeral, is_numeral


@pytest.mark.parametrize(
    ("written", "number"),
    [("0", 0), ("-7", -7), ("2.5", 2.5), ("1.10", "1.10"), ("1e3", "1e3"), ("-0", "-0"), ("9" * 400, "9" * 400)],
)
def test_a_numeral_is_a_number_only_when_that_would_be_written_alike(written: str, number: object) -> None:
    assert is_numeral(written)
    found = Numeral(written).number()
    assert found == number
    assert str(found) == written


@pytest.mark.parametrize("text", ["", "-", "01", "1.", ".5", "0x1F", "1_000", "12:30", "2024-01-01", "1 ", "NaN"])
def test_what_json_would_not_read_as_a_number_is_no_numeral(text: str) -> None:
    assert not is_numeral(text)


@pytest.mark.parametrize(
    "raw",
    [b'{"a": 1, "b": 1.10, "c": "1", "d": true}', b"a: 1\nb: 1.10\nc: '1'\nd: true\n"],
    ids=["json", "yaml"],
)
def test_a_reader_tells_numbers_from_text_and_keeps_how_they_are_written(raw: bytes) -> None:
    read = read_document(raw, Budget(Limits()), Findings())
    assert read == {"a": "1", "b": "1.10", "c": "1", "d": True}
    assert [type(value) for value in read.values()] == [Numeral, Numeral, str, bool]
