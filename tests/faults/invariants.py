"""What must hold after a run, asked of the database with queries of the tests' own and of a journal of their own."""

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import DictRow

from opdex.database import load_statements
from tests.ollama_server import vector_of

type Connection = psycopg.Connection[DictRow]

# Run it on a migrated schema, before anything else happens.
JOURNAL = Path(__file__).with_name("journal.sql").read_bytes()
# Calls that a worker has under way at a time, in every run of the harness.
CALLS_IN_FLIGHT = 2
# Of the text hashes; a change of the composition raises it here, too.
_TEXT_SCHEME = "2"

_FORBIDDEN = load_statements("tests.faults", "invariants.sql")
_PUBLISHED = """
    SELECT s.id, o.text, o.text_hash, v.embedding::text AS embedding
    FROM specs s JOIN operations o ON o.spec_id = s.id AND o.revision = s.published_revision
    LEFT JOIN vectors v ON v.text_hash = o.text_hash AND v.model_id = s.published_model_id
"""


def broken(connection: Connection) -> Iterator[str]:
    """Yield one line for each invariant that does not hold, with the first rows that break it."""
    connection.execute("REFRESH MATERIALIZED VIEW fault_leases")
    connection.execute("REFRESH MATERIALIZED VIEW fault_calls_of_leases")
    for name, query in _FORBIDDEN.items():
        rows = connection.execute(query, {"calls_in_flight": CALLS_IN_FLIGHT, "scheme": _TEXT_SCHEME}).fetchall()
        if rows:
            yield f"{name} ({len(rows)}): {[dict(row) for row in rows[:3]]}"
    wrong = [row["text"] for row in connection.execute(_PUBLISHED) if not _is_right(row)]
    if wrong:
        yield f"wrong_vectors ({len(wrong)}): {wrong[:3]}"


def _is_right(row: dict[str, Any]) -> bool:
    text_hash = hashlib.sha256(f"{_TEXT_SCHEME}\n{row['text']}".encode()).digest()
    if row["embedding"] is None or text_hash != bytes(row["text_hash"]):
        return False
    wanted, stored = vector_of(row["text"]), json.loads(row["embedding"])
    length = math.hypot(*wanted)
    return len(stored) == len(wanted) and all(
        math.isclose(one, other / length, abs_tol=1e-5) for one, other in zip(stored, wanted, strict=True)
    )
