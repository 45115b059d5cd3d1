from typing import Any

import pytest

from opdex.errors import DocumentTooComplex, DocumentUnreadable
from opdex.openapi import Limits
from opdex.openapi.description import Findings
from opdex.openapi.limits import Budget
from opdex.openapi.yaml_document import read_yaml


def read(text: str, limits: Limits | None = None) -> Any:
    return read_yaml(text, Budget(limits or Limits()), Findings())


def codes_and_pointers(text: str) -> list[tuple[str, str]]:
    findings = Findings()
    read_yaml(text, Budget(Limits()), findings)
    return [(warning.code, warning.pointer) for warning in findings.warnings()]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True), ("FALSE", False), ("null", None), ("~", None), ("", None),
        ("on", "on"), ("no", "no"), ("y", "y"), ("1.10", "1.10"), ("0x10", "0x10"), ("12:30:45", "12:30:45"),
        ("2024-01-01", "2024-01-01"), ("1_000", "1_000"), (".nan", ".nan"), ("'true'", "true"), ('"null"', "null"),
        ("!!str true", "true"), ("!!bool true", True), ("! null", "null"), ("!!int 3", "3"),
    ],
)  # fmt: skip
def test_scalars_stay_as_written_unless_they_are_true_false_or_null(written: str, value: Any) -> None:
    assert read(f"a: {written}") == {"a": value}


def test_keys_are_always_text() -> None:
    assert read("on: 1\n200: 2\nnull: 3\ntrue: 4\n1.0: 5") == {
        "on": "1", "200": "2", "null": "3", "true": "4", "1.0": "5"
    }  # fmt: skip


def test_collections_nest_in_block_and_flow_style() -> None:
    assert read("a:\n- b: [c, {d: e}]\n- []\nf: {}") == {"a": [{"b": ["c", {"d": "e"}]}, []], "f": {}}


def test_an_alias_stands_for_its_anchor_as_value_and_as_key() -> None:
    assert read("a: &x {k: v}\nb: *x\n&y c: d\ne: *y\nf: &z g\n*z : h") == {
        "a": {"k": "v"}, "b": {"k": "v"}, "c": "d", "e": "c", "f": "g", "g": "h"
    }  # fmt: skip


def test_an_anchor_given_twice_stands_for_the_latest() -> None:
    assert read("[&a 1, *a, &a 2, *a]") == ["1", "1", "2", "2"]


def test_merge_keys_yield_to_own_keys_and_earlier_sources() -> None:
    text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {c: 3, <<: [*x, *y]}\nq: {'<<': 1}"
    assert read(text)["z"] == {"a": "1", "b": "1", "c": "3"}
    assert read(text)["q"] == {"<<": "1"}


def test_a_merge_of_no_mapping_is_skipped_with_a_warning() -> None:
    assert codes_and_pointers("p: {a: 1, <<: [3]}") == [("unusable_merge", "/p")]


def test_an_alias_cycle_becomes_null_with_a_warning() -> None:
    assert read("a: &a {b: [*a]}") == {"a": {"b": [None]}}
    assert codes_and_pointers("a: &a {b: [1, *a]}") == [("alias_cycle", "/a/b")]


def test_the_last_of_two_equal_keys_is_used_with_a_warning() -> None:
    assert read("a: {b: 1, b: 2}") == {"a": {"b": "2"}}
    assert codes_and_pointers("a: [x, {b/c: 1, b/c: 2}]") == [("duplicate_key", "/a/1/b~1c")]


def test_a_key_that_is_no_text_is_skipped_with_a_warning() -> None:
    assert read("{a: 1, [x]: 2, {y: z}: 3, b: 4}") == {"a": "1", "b": "4"}
    assert codes_and_pointers("a: {[x]: 1}") == [("unusable_key", "/a")]
    assert codes_and_pointers("{{ name }}: 1") == [("unusable_key", "")] * 2


def test_an_unknown_alias_is_refused_with_its_place() -> None:
    with pytest.raises(DocumentUnreadable, match="'nowhere'") as caught:
        read("a: 1\nb: *nowhere")
    assert caught.value.details == {"line": 2, "column": 4}


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system", "!<tag:example.org,2024:x>"])
@pytest.mark.parametrize("value", ["x", "[x]", "{x: y}"])
def test_a_tag_that_asks_for_an_object_is_refused(tag: str, value: str) -> None:
    with pytest.raises(DocumentUnreadable, match="tag"):
        read(f"a: {tag} {value}")


def test_a_tag_of_somebodys_own_tools_is_left_out_with_a_warning() -> None:
    text = "a: {b: !Sub 'x ${y}', c: !include [z]}"
    assert read(text) == {"a": {"b": "x ${y}", "c": ["z"]}}
    assert codes_and_pointers(text) == [("unknown_tag", "/a/b"), ("unknown_tag", "/a/c")]


@pytest.mark.parametrize("text", ["a: 1\n---\n", "---\n---\na: 1", "---\na: 1\n...\n---\n...\n"])
def test_an_empty_document_beside_the_one_is_no_second_one(text: str) -> None:
    assert read(text) == {"a": "1"}


def test_control_characters_of_another_encoding_are_replaced_with_a_warning() -> None:
    assert read("a: don\x92t\x7f, caf\xe9") == {"a": "don\ufffdt\ufffd, caf\xe9"}
    assert codes_and_pointers("a: don\x92t") == [("control_character", "")]


def test_no_break_spaces_indent_like_spaces_with_a_warning() -> None:
    text = "a:\n\xa0\xa0b: x\xa0y\n \xa0c: 1"
    assert read(text) == {"a": {"b": "x\xa0y", "c": "1"}}
    assert codes_and_pointers(text) == [("no_break_space", "")]


def test_a_byte_order_mark_between_lines_is_left_out() -> None:
    assert read("a: 1\n\ufeffb: 2") == {"a": "1", "b": "2"}


def test_two_escaped_halves_are_one_character() -> None:
    assert read(r'a: "x \ud83d\ude00 y"') == {"a": "x \U0001f600 y"}
    with pytest.raises(DocumentUnreadable, match="escape"):
        read(r'a: "x \ud83d y"')


def test_a_second_document_is_refused() -> None:
    with pytest.raises(DocumentUnreadable, match="second YAML document begins at line 2"):
        read("a: 1\n---\nb: 2")


def test_an_empty_stream_is_none() -> None:
    assert read("# nothing\n") is None


def test_a_syntax_error_names_line_and_column() -> None:
    with pytest.raises(DocumentUnreadable, match="line 2, column 5") as caught:
        read("a: 1\nb: c: d")
    assert caught.value.details["line"] == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a:\n\tb: 1", "a tab cannot stand here; indent with spaces"),
        ("\u00e9: `b`", "'`' cannot stand here"),
    ],
)
def test_a_character_that_cannot_begin_anything_is_named(text: str, problem: str) -> None:
    with pytest.raises(DocumentUnreadable, match=problem):
        read(text)


def test_a_control_character_is_refused_with_its_position() -> None:
    with pytest.raises(DocumentUnreadable, match="position 3"):
        read("a: \x07")


@pytest.mark.parametrize("text", ["[" * 50_000 + "]" * 50_000, "- " * 50_000, "? " * 50_000, "{a: " * 50_000])
def test_deep_nesting_is_refused_without_recursion(text: str) -> None:
    with pytest.raises(DocumentTooComplex) as caught:
        read(text)
    assert caught.value.details["limit"] == "max_depth"


def test_an_alias_bomb_is_refused_before_it_goes_off() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    with pytest.raises(DocumentTooComplex) as caught:
        read("\n".join(lines))
    assert caught.value.details == {"limit": "max_expansion", "value": Limits().max_expansion}


def test_a_merge_bomb_is_refused() -> None:
    wide = ", ".join(f"k{n}: v" for n in range(1000))
    with pytest.raises(DocumentTooComplex):
        read(f"w: &w {{{wide}}}\n" + "\n".join(f"m{n}: {{<<: *w}}" for n in range(20)), Limits(max_nodes=10_000))


def test_too_many_nodes_are_refused_while_reading() -> None:
    with pytest.raises(DocumentTooComplex):
        read("[" + "[]," * 2000 + "]", Limits(max_nodes=1000))


def test_too_many_tag_directives_are_refused() -> None:
    with pytest.raises(DocumentUnreadable, match="%TAG"):
        read("".join(f"%TAG !t{n}! x\n" for n in range(200)) + "---\na: b")


def test_reading_stops_when_time_is_up() -> None:
    with pytest.raises(DocumentTooComplex) as caught:
        read("[" + "x," * 5000 + "]", Limits(max_seconds=-1.0))
    assert caught.value.details["limit"] == "max_seconds"
