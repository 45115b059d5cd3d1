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
    return excerpt({}, [Part("schema", ("schema",), root)], _resolve(document), max_bytes)


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

    shown = excerpt(_HEAD, [Part("one", ("one",), root), Part("two", ("two",), [root])], resolve, room)

    assert json_bytes(shown) <= room
    assert json.loads(json.dumps(shown)) == shown
    assert shown.keys() >= _HEAD.keys()


@given(texts=st.lists(_TEXTS, min_size=5, max_size=5))
def test_first_five_texts_are_there_when_there_is_the_least_room(texts: list[str]) -> None:
    head = dict(zip(_HEAD, texts, strict=True))
    shown = excerpt(head, [Part("schema", ("schema",), {"type": "object"})], _resolve({}), LEAST_BYTES)
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
    shown = excerpt({}, [Part("media", ("media",), media)], _resolve(document), _AMPLE)
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
    first = excerpt({}, parts, resolve, 2_000)["left_out"][0]
    assert first["at"].startswith("/responses/200/properties/~0x/properties")

    part = find_part(parts, "/responses/200/properties/~0x/properties/field7", resolve)

    assert part is not None
    assert (part.name, part.node, part.place[-1]) == ("field7", {"type": "string"}, "field7")


def test_nothing_is_found_when_a_place_is_not_there() -> None:
    parts = [Part("parameters", ("parameters",), [{"name": "id"}])]
    found = [
        find_part(parts, place, _resolve({})) for place in ("", "/", "/none", "/parameters/1", "/parameters/0/name/x")
    ]
    assert found == [None] * 5


def test_long_text_is_cut_and_says_how_much_of_it_is_missing() -> None:
    shown = _schema_excerpt({}, {"description": "x" * 5_000, "type": "string"}, 4_000)
    text = shown["schema"]["description"]
    assert text.endswith("x…")
    assert shown["schema"]["type"] == "string"
    assert shown["left_out"] == [{"at": "/schema/description", "what": f"{5_000 - len(text) + 1} of 5000 characters"}]


def test_errors_and_examples_wait_when_room_is_short() -> None:
    fields = {f"field{n}": {"type": "string"} for n in range(20)}
    answer = {"schema": {"properties": fields}, "example": dict.fromkeys(fields, "value")}
    parts = [Part("responses", ("responses",), {"404": answer, "200": answer}, "names")]
    shown = excerpt({}, parts, _resolve({}), 1_500)["responses"]
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
