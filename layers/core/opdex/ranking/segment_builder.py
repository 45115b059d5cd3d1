"""A segment: what the ranking needs of one revision, as one block of bytes that is read without being parsed.

A line of JSON says what is where; after it come the arrays, little-endian, each at a multiple of eight. Rows of unequal
length are held as in a compressed sparse row matrix: row i of `x` is x[x_starts[i]:x_starts[i + 1]].
"""

import json
import math
import struct
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence

from opdex.openapi.description import Operation
from opdex.ranking.bm25f import Postings, given_operation_id, weigh_terms
from opdex.ranking.needs import find_needs
from opdex.ranking.verbs import count_verbs
from opdex.ranking.words import stems, term_key

# Part of what a segment is stored under. Raise it with any change of what is derived or how it is written.
SCHEME = 2

_MOST = 65504.0  # what half precision holds

type Arrays = dict[str, tuple[str, bytes]]  # by name: the dtype in numpy's words, and the octets


def build_segment(title: str, operations: Sequence[Operation]) -> bytes:
    """Return the segment of a revision's operations, in their order. Pure, and needs no numpy."""
    postings = weigh_terms(title, operations)
    methods = sorted({operation.method for operation in operations})
    tags = sorted({tag for operation in operations for tag in operation.tags})
    method_codes, tag_codes = _codes(methods), _codes(tags)
    arrays: Arrays = {
        "text_hashes": ("u1", b"".join(operation.text_hash for operation in operations)),
        "methods": ("<u2", _octets("H", (method_codes[operation.method] for operation in operations))),
        "deprecated": ("u1", bytes(operation.deprecated for operation in operations)),
        **_rows("tags", [[tag_codes[tag] for tag in operation.tags] for operation in operations]),
        **_postings("terms", postings),
        **_postings("names", _weigh_names(operations, postings)),
        **_verbs(operations, method_codes),
        **_needs(operations),
    }
    return _packed({"count": len(operations), "methods": methods, "tags": tags}, arrays)


def _codes(values: Sequence[str]) -> dict[str, int]:
    return {value: code for code, value in enumerate(values)}


def _weigh_names(operations: Sequence[Operation], postings: Mapping[str, Postings]) -> dict[str, Postings]:
    """Return the postings of operationIds' stems by their idf in the document; those of an operation have length 1."""
    names: dict[str, Postings] = {}
    for place, operation in enumerate(operations):
        said = [term for term in dict.fromkeys(stems(given_operation_id(operation))) if term in postings]
        idf = {term: inverse_document_frequency(len(postings[term][0]), len(operations)) for term in said}
        length = math.hypot(*idf.values())
        for term, weight in idf.items():
            if term not in names:
                names[term] = array("I"), array("f")
            names[term][0].append(place)
            names[term][1].append(weight / length)
    return names


def inverse_document_frequency(having: int, count: int) -> float:
    """Return ln(1 + (N - df + 0.5) / (df + 0.5)): above 0 also for a term that every operation has."""
    return math.log(1 + (count - having + 0.5) / (having + 0.5))


def _postings(name: str, postings: Mapping[str, Postings]) -> Arrays:
    ordered = sorted((term_key(term), term) for term in postings)
    rows = [postings[term] for _, term in ordered]
    weights = [min(weight, _MOST) for _, row in rows for weight in row]
    return {
        name: ("<u8", _octets("Q", (key for key, _ in ordered))),
        **_rows(f"{name}_places", [places for places, _ in rows]),
        f"{name}_weights": ("<f2", struct.pack(f"<{len(weights)}e", *weights)),
    }


def _verbs(operations: Sequence[Operation], method_codes: Mapping[str, int]) -> Arrays:
    counted = sorted((term_key(verb), method_codes[method], n) for (verb, method), n in count_verbs(operations).items())
    return {
        "verbs": ("<u8", _octets("Q", (verb for verb, _, _ in counted))),
        "verb_methods": ("<u2", _octets("H", (method for _, method, _ in counted))),
        "verb_counts": ("<u4", _octets("I", (count for _, _, count in counted))),
    }


def _needs(operations: Sequence[Operation]) -> Arrays:
    needs = find_needs(operations)
    numbers = {need: number for number, need in enumerate(dict.fromkeys(need for row in needs for need in row))}
    return {
        **_rows("needs", [[numbers[need] for need in row] for row in needs]),
        **_rows("producers", list(numbers)),
    }


def _rows(name: str, rows: Sequence[Sequence[int]]) -> Arrays:
    starts = array("I", [0])
    for row in rows:
        starts.append(starts[-1] + len(row))
    return {
        name: ("<u4", _octets("I", (value for row in rows for value in row))),
        f"{name}_starts": ("<u4", _octets("I", starts)),
    }


def _octets(typecode: str, values: Iterable[int]) -> bytes:
    numbers = array(typecode, values)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _packed(facts: Mapping[str, object], arrays: Arrays) -> bytes:
    places: dict[str, tuple[str, int, int]] = {}
    body = bytearray()
    for name, (dtype, octets) in arrays.items():
        places[name] = dtype, len(body), len(octets)
        body += octets + bytes(-len(octets) % 8)
    head = json.dumps({**facts, "arrays": places}, separators=(",", ":")).encode()
    head += b" " * (-(len(head) + 1) % 8) + b"\n"
    return head + bytes(body)
