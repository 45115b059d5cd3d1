"""A hundred thousand operations to search: summaries of real documents, each varied by what it is done to.

The documents are OPDEX_CORPUS' where it is set and the project's own examples otherwise; the vectors are the embedded
model's, made once and kept in .tools.
"""

import gzip
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opdex.embedding.minilm import MiniLmEmbedder
from opdex.errors import OpdexError
from opdex.openapi import describe
from opdex.openapi.operation_text import words

_PROJECT = Path(__file__).parents[2]
_MAX_WORDS = 9
_OBJECTS = (
    "invoices", "patients", "shipments", "tickets", "vehicles", "courses", "recipes", "sensors", "contracts", "tenants",
    "payments", "podcasts", "flights", "warehouses", "employees", "certificates", "playlists", "donations", "auctions",
    "refunds", "blueprints", "meters", "vaccines", "parcels", "lawsuits",
)  # fmt: skip


def documents(catalogs: int, operations: int) -> Iterator[bytes]:
    """Yield so many documents of so many operations each, no two operations alike."""
    said = _summaries()
    for catalog in range(catalogs):
        paths = {}
        for number in range(operations):
            varied = catalog * operations + number
            summary, method = said[varied % len(said)]
            thing = _OBJECTS[varied // len(said) % len(_OBJECTS)]
            paths[f"/{'/'.join(words(summary)[:2])}/{thing}/{varied}"] = {
                method: {
                    "summary": f"{summary} for {thing}",
                    "tags": [f"tag-{varied % 100}"],
                    "parameters": [{"name": "page_size", "in": "query"}],
                }
            }
        info = {"title": f"Library {catalog}", "version": "1"}
        yield json.dumps({"openapi": "3.0.3", "info": info, "paths": paths}).encode()


def vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    """Return the embedded model's vector of each text; minutes at the first time."""
    kept = _PROJECT / ".tools" / f"vectors-{hashlib.sha256('\n'.join(texts).encode()).hexdigest()[:16]}.npy"
    if not kept.is_file():
        embedder = MiniLmEmbedder()
        made = np.empty((len(texts), 384), np.float32)
        for start in range(0, len(texts), 256):
            made[start : start + 256] = embedder.embed(texts[start : start + 256], timeout=60)
        kept.parent.mkdir(exist_ok=True)
        np.save(kept, made)
    found: NDArray[np.float32] = np.load(kept)
    return found


def _summaries() -> list[tuple[str, str]]:
    folder = os.environ.get("OPDEX_CORPUS")
    files = sorted((Path(folder) / "specs").iterdir() if folder else (_PROJECT / "docs" / "examples").iterdir())
    found: dict[str, str] = {}
    for file in files:
        if file.suffix not in (".json", ".yaml", ".gz"):
            continue
        raw = file.read_bytes()
        try:
            operations = describe(gzip.decompress(raw) if file.suffix == ".gz" else raw).operations
        except OpdexError:
            continue
        for operation in operations:
            short = " ".join((operation.summary or operation.description).split()[:_MAX_WORDS])
            if len(short) > 3:
                found.setdefault(short, operation.method.lower())
    return list(found.items())
