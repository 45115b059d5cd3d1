"""An excerpt: references are resolved, it never takes more room than it was given, and says what it left out."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from opdex.mcp.excerpt import LEAST_BYTES, Part, excerpt, find_part, json_bytes
from opdex.openapi.limits import Budget, Limits
from opdex.openapi.numeral import Numeral
from opdex.openapi.references import References

_HEAD = {name: name for name in ("catalog_id", "spec_name", "operation_id", "method", "path")}
_AMPLE = 60_000


def _resolve(document: dict[str, Any]) -> Any:
    return References(document, Budget(Limits())).resolve


def _schema_excerpt(schemas: dict[str, Any], root: Any, max_bytes: int = _AMPLE) -> dict[str, Any]:
    document = {"components": {"schemas": schemas}}
    return excerpt([Part("schema", ("schema",), root)], _resolve(document), max_bytes)


def _head(texts: dict[str, str]) -> list[Part]:
    return [Part(name, (name,), text, "data") for name, text in texts.items()]


def _asked(parts: list[Part], place: str, resolve: Any, max_bytes: int) -> dict[str, Any]:
    part = find_part(parts, place, resolve)
    assert part is not None, place
    return excerpt([part._replace(name="part")], resolve, max_bytes)


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


_NAMES = st.sampled_from(["A", "B", "C", "missing"])
_TEXTS = st.text(max_size=40) | st.sampled_from(["x" * 5_000, "ü" * 3_000, "\x00\ud800" * 500, Numeral("1.10")])
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXTS
_KEYS = st.sampled_from(["properties", "items", "example", "enum", "x-own", "$ref", "type", "k" * 400]) | st.text(
    max_size=10
)
_NODES = st.recursive(
    _SCALARS | _NAMES.map(_ref),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(_KEYS, inner, max_size=8),
    max_leaves=60,
)


@given(schemas=st.fixed_dictionaries({"A": _NODES, "B": _NODES, "C": _NODES}), root=_NODES, room=st.integers(0, 20_000))
def test_excerpt_is_json_of_at_most_its_room_whatever_is_shown(schemas: dict[str, Any], root: Any, room: int) -> None:
    resolve = _resolve({"components": {"schemas": schemas}})
    room += LEAST_BYTES

    parts = [*_head(_HEAD), Part("one", ("one",), root), Part("two", ("two",), [root])]
    shown = excerpt(parts, resolve, room)

    assert json_bytes(shown) <= room
    assert json.loads(json.dumps(shown)) == shown
    assert shown.keys() >= _HEAD.keys()
    for note in shown["left_out"]:
        assert json_bytes(_asked(parts, note["at"], resolve, room)) <= room


@given(texts=st.lists(_TEXTS, min_size=5, max_size=5))
def test_first_five_texts_are_there_when_there_is_the_least_room(texts: list[str]) -> None:
    head = dict(zip(_HEAD, texts, strict=True))
    shown = excerpt([*_head(head), Part("schema", ("schema",), {"type": "object"})], _resolve({}), LEAST_BYTES)
    assert json_bytes(shown) <= LEAST_BYTES
    assert shown.keys() >= _HEAD.keys()


def test_references_are_resolved_when_they_lead_somewhere() -> None:
    schemas = {"Pet": {"type": "object", "properties": {"owner": _ref("Owner")}}, "Owner": {"type": "string"}}
    assert _schema_excerpt(schemas, _ref("Pet")) == {
        "schema": {"type": "object", "properties": {"owner": {"type": "string"}}},
        "left_out": [],
    }


def test_schema_is_shown_once_on_each_way_when_it_contains_itself() -> None:
    schemas = {"Node": {"properties": {"next": _ref("Node"), "other": {"items": _ref("Node")}}}}
    again = {**_ref("Node"), "note": "recursive: as at /schema"}
    assert _schema_excerpt(schemas, _ref("Node"))["schema"] == {
        "properties": {"next": again, "other": {"items": again}}
    }


def test_schema_is_shown_in_each_place_when_it_is_only_used_twice() -> None:
    shown = _schema_excerpt({"Id": {"type": "integer"}}, {"properties": {"a": _ref("Id"), "b": _ref("Id")}})
    assert shown["schema"]["properties"] == {"a": {"type": "integer"}, "b": {"type": "integer"}}


def test_reference_says_so_when_it_leads_nowhere() -> None:
    shown = _schema_excerpt({}, {"items": {"$ref": "other.yaml#/Pet"}})
    assert shown["schema"]["items"] == {"$ref": "other.yaml#/Pet", "note": "not in this document"}


def test_what_is_said_of_a_reference_is_whole_when_other_texts_of_its_length_are_cut() -> None:
    name, elsewhere = "n" * 200, {"$ref": "other.yaml#/" + "x" * 200}
    shown = _schema_excerpt({"A": {"properties": {name: _ref("A"), "y": elsewhere}}}, {"items": _ref("A")}, 1_500)
    assert shown["left_out"] == []
    assert shown["schema"]["items"]["properties"]["y"] == {**elsewhere, "note": "not in this document"}


def test_reference_is_left_as_it_is_when_it_is_data() -> None:
    data = {"$ref": "#/components/schemas/Pet"}
    shown = _schema_excerpt({"Pet": {"type": "object"}}, {"example": data, "enum": [data], "default": data})
    assert shown["schema"] == {"example": data, "enum": [data], "default": data}


def test_property_is_shown_when_it_is_called_as_a_keyword() -> None:
    properties = {"example": _ref("Id"), "xml": _ref("Id"), "x-rate": _ref("Id")}
    shown = _schema_excerpt({"Id": {"type": "integer"}}, {"properties": properties, "xml": {"name": "a"}, "x-own": 1})
    assert shown["schema"] == {"properties": {name: {"type": "integer"} for name in properties}}


def test_named_examples_are_resolved_and_their_values_are_not() -> None:
    document = {"components": {"examples": {"one": {"summary": "One", "value": {"$ref": "a"}}}}}
    media = {"examples": {"first": {"$ref": "#/components/examples/one"}}}
    shown = excerpt([Part("media", ("media",), media)], _resolve(document), _AMPLE)
    assert shown["media"] == {"examples": {"first": {"summary": "One", "value": {"$ref": "a"}}}}


def test_upper_levels_come_first_and_the_rest_is_named_when_room_is_short() -> None:
    deep = {"properties": {f"field{n}": {"type": "object", "description": "words " * 9} for n in range(40)}}
    shown = _schema_excerpt({}, {"type": "object", "required": ["a"], "properties": {"deep": deep}}, LEAST_BYTES)
    assert shown["schema"]["type"] == "object"
    assert shown["schema"]["required"] == ["a"]
    places = {note["at"] for note in shown["left_out"]}
    assert any(place.startswith("/schema/properties/deep") for place in places)


def test_left_out_place_is_found_again_when_it_is_asked_for() -> None:
    inner = {"properties": {f"field{n}": {"type": "string"} for n in range(200)}}
    document = {"components": {"schemas": {"A/B": {"properties": {"~x": inner}}}}}
    parts = [Part("responses", ("responses",), {"200": {"$ref": "#/components/schemas/A~1B"}}, "names")]
    resolve = _resolve(document)
    first = excerpt(parts, resolve, 2_000)["left_out"][0]
    assert first["at"].startswith("/responses/200/properties/~0x/properties~start=")

    part = find_part(parts, "/responses/200/properties/~0x/properties/field7", resolve)

    assert part is not None
    assert (part.name, part.node, part.place[-1]) == ("field7", {"type": "string"}, "field7")


def test_nothing_is_found_when_a_place_is_not_there() -> None:
    parts = [Part("parameters", ("parameters",), [{"name": "id"}])]
    places = ("", "/", "/none", "/parameters/1", "/parameters/0/name/x", "/parameters~start=", "/parameters~start=x")
    assert [find_part(parts, place, _resolve({})) for place in places] == [None] * len(places)


def test_long_text_is_cut_and_says_how_much_of_it_is_missing() -> None:
    shown = _schema_excerpt({}, {"description": "x" * 5_000, "type": "string"}, 4_000)
    text = shown["schema"]["description"]
    assert text.endswith("x…")
    assert shown["schema"]["type"] == "string"
    rest = {"at": f"/schema/description~start={len(text) - 1}", "what": f"{5_001 - len(text)} of 5000 characters"}
    assert shown["left_out"] == [rest]


def _read_on(parts: list[Part], shown: dict[str, Any], max_bytes: int) -> list[Any]:
    """Ask for the first place that was left out, until there is none; return what was shown of it each time."""
    read = []
    while shown["left_out"]:
        shown = _asked(parts, shown["left_out"][0]["at"], _resolve({}), max_bytes)
        read.append(shown["part"])
        assert len(read) < 1_000
    return read


def test_object_is_read_to_its_end_when_each_answer_goes_on_from_the_one_before() -> None:
    properties = {f"field{n}": "text " * 9 for n in range(300)}
    parts = [Part("schema", ("schema",), {"example": properties})]
    shown = excerpt(parts, _resolve({}), LEAST_BYTES)
    first = {} if shown["schema"]["example"] == "…" else shown["schema"]["example"]
    read = [dict(first), *_read_on(parts, shown, LEAST_BYTES)]
    assert [name for part in read for name in part] == [*properties]


def test_list_is_read_to_its_end_when_each_answer_goes_on_from_the_one_before() -> None:
    parts = [Part("parameters", ("parameters",), [{"name": f"parameter{n}", "in": "query"} for n in range(100)])]
    shown = excerpt(parts, _resolve({}), 8_000)
    read = [*shown["parameters"], *(entry for part in _read_on(parts, shown, 8_000) for entry in part)]
    assert read == parts[0].node


def test_text_is_read_to_its_end_when_each_answer_goes_on_from_the_one_before() -> None:
    text = "".join(f"{n} " for n in range(2_000))
    parts = _head({"description": text})
    shown = excerpt(parts, _resolve({}), 4_000)
    read = [shown["description"], *_read_on(parts, shown, 4_000)]
    assert "".join(part.removesuffix("…") for part in read) == text


def test_entries_are_counted_from_the_first_when_an_answer_goes_on_from_a_later_one() -> None:
    parts = [Part("enum", ("enum",), [f"value{n}" for n in range(1_000)], "data")]
    (note,) = _asked(parts, "/enum~start=500", _resolve({}), LEAST_BYTES)["left_out"]
    start = int(note["at"].removeprefix("/enum~start="))
    assert 500 < start < 1_000
    assert note["what"] == f"{1_000 - start} of 1000 entries"


def test_list_names_the_right_entries_when_an_answer_goes_on_from_a_later_one() -> None:
    parts = [Part("enum", ("enum",), [{"description": f"{n}" * 200} for n in range(9)], "data")]
    shown = _asked(parts, "/enum~start=7", _resolve({}), 1_200)
    place = next(note["at"] for note in shown["left_out"] if note["at"].startswith("/enum/7/description"))
    assert _asked(parts, place, _resolve({}), 1_200)["part"].startswith("7")


def test_nothing_is_shown_when_an_answer_would_go_on_past_the_end() -> None:
    parts = [*_head({"summary": "Short"}), Part("enum", ("enum",), ["a"], "data")]
    assert [_asked(parts, f"/{name}~start=999999999", _resolve({}), _AMPLE) for name in ("summary", "enum")] == [
        {"part": "", "left_out": []},
        {"part": [], "left_out": []},
    ]


def test_place_is_found_when_its_name_cannot_be_told_as_it_is() -> None:
    parts = [Part("schema", ("schema",), {"properties": {"a\x00 ": {"description": "x" * 900}}})]
    (note,) = excerpt(parts, _resolve({}), LEAST_BYTES)["left_out"]
    assert note["at"].startswith("/schema/properties/a\ufffd /description~start=")
    assert _asked(parts, note["at"], _resolve({}), LEAST_BYTES)["part"].startswith("x")


def test_places_without_room_to_be_named_are_counted_and_have_no_note() -> None:
    deep: dict[str, Any] = {f"field{n}": {"type": "object"} for n in range(200)}
    shown = _schema_excerpt({}, {"properties": deep}, 2_400)
    waiting = [*shown["schema"]["properties"].values()].count("…")
    cut_short = len(shown["schema"]["properties"]) < len(deep)
    assert shown["left_out_unnamed"] == waiting + cut_short - len(shown["left_out"]) > 0


def test_part_is_named_when_there_is_no_room_for_it_at_all() -> None:
    texts = _head({f"text{n}": "x" * 107 for n in range(7)})
    parts = [*texts, Part("responses", ("responses",), {"200": {}}, "names"), *_head({"summary": "Short"})]
    shown = excerpt(parts, _resolve({}), LEAST_BYTES)
    assert shown.keys() == {*(part.name for part in texts), "left_out"}
    assert shown["left_out"] == [
        {"at": "/responses", "what": "1 of 1 entries"},
        {"at": "/summary", "what": "5 of 5 characters"},
    ]


def test_upper_place_is_named_first_when_what_is_in_it_was_cut_too() -> None:
    shown = _schema_excerpt({}, {"example": {f"name{n}": "x" * 900 for n in range(40)}}, 2_000)
    assert shown["left_out"][0]["at"].startswith("/schema/example~start=")
    assert shown["left_out_unnamed"] > 0


def test_long_place_is_named_when_there_is_room() -> None:
    name = "a_rather_long_name_of_a_property"
    schemas: dict[str, Any] = {f"S{n}": {"properties": {name: _ref(f"S{n + 1}")}} for n in range(150)}
    schemas["S150"] = {"type": "string"}
    parts = [Part("schema", ("schema",), _ref("S0"))]
    resolve = _resolve({"components": {"schemas": schemas}})
    shown = excerpt(parts, resolve, _AMPLE)
    for _ in range(2):
        (note,) = shown["left_out"]
        assert len(note["at"]) > 2_000
        shown = _asked(parts, note["at"], resolve, _AMPLE)
    assert json.dumps(shown).count("string") == 1
    assert shown["left_out"] == []


def test_errors_and_examples_wait_when_room_is_short() -> None:
    fields = {f"field{n}": {"type": "string"} for n in range(20)}
    answer = {"schema": {"properties": fields}, "example": dict.fromkeys(fields, "value")}
    parts = [Part("responses", ("responses",), {"404": answer, "200": answer}, "names")]
    shown = excerpt(parts, _resolve({}), 1_500)["responses"]
    assert shown["200"]["schema"]["properties"] == fields
    assert "…" in shown["404"]["schema"]["properties"].values()
    assert shown["404"]["example"] == "…"


def test_chain_of_schemas_ends_when_it_is_deeper_than_json_is_written() -> None:
    schemas = {f"S{n}": {"items": _ref(f"S{n + 1}")} for n in range(5_000)}
    shown = _schema_excerpt(schemas, _ref("S0"))
    assert json_bytes(shown) < _AMPLE
    assert len(shown["left_out"]) == 1


def test_numbers_are_numbers_when_they_are_written_as_such() -> None:
    shown = _schema_excerpt({}, {"minimum": Numeral("3"), "maximum": Numeral("2.5"), "version": Numeral("1.10")})
    assert shown["schema"] == {"minimum": 3, "maximum": 2.5, "version": "1.10"}
