"""The query sets of a corpus: requests in people's words, each with the operations that answer it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class QuerySet:
    """The queries of one file, in its order: (document, query). ``name`` is the file's."""

    name: str
    queries: tuple[tuple[str, str], ...]

    @property
    def documents(self) -> list[str]:
        """The documents that the queries are asked of."""
        return list(dict.fromkeys(document for document, _ in self.queries))


@dataclass(frozen=True, slots=True)
class Run:
    """Which sets are asked together: each query of its own document, or pooled, of all documents of the sets at
    once."""

    name: str
    sets: tuple[QuerySet, ...]
    is_pooled: bool

    @property
    def catalog_id(self) -> str:
        """The catalog that holds the documents of the sets."""
        return catalog_id(self.sets)

    @property
    def sections(self) -> list[tuple[str, tuple[QuerySet, ...]]]:
        """The parts that the run is reported in, by name: its whole and, where it pools several sets, each of these."""
        pooled = [(f"{queries.name} (pooled)", (queries,)) for queries in self.sets]
        return [(self.name, self.sets), *(pooled if len(self.sets) > 1 else ())]

    def questions(self) -> Iterable[tuple[QuerySet, int, str, str]]:
        """Yield (set, number of the query in it, document, query)."""
        for queries in self.sets:
            for number, (document, query) in enumerate(queries.queries):
                yield queries, number, document, query


def read_query_sets(corpus: Path) -> list[QuerySet]:
    """Return the sets that the corpus has."""
    return [
        QuerySet(file.stem, tuple((row["spec"], row["query"]) for row in map(json.loads, file.open(encoding="utf-8"))))
        for file in sorted((corpus / "queries").glob("*.jsonl"))
    ]


def family(queries: QuerySet) -> str:
    """Return what a set is a part of: sets of one family are also asked over all their documents together."""
    return queries.name.partition("_")[0]


def catalog_id(sets: Iterable[QuerySet]) -> str:
    """Return the id of the catalog for sets of one family."""
    return family(next(iter(sets)))


def plan_runs(sets: Iterable[QuerySet]) -> list[Run]:
    """Return a run for each set, and a pooled one for each family of several documents of which the sets are small."""
    families: dict[str, list[QuerySet]] = {}
    for queries in sets:
        families.setdefault(family(queries), []).append(queries)
    runs = []
    for name, members in families.items():
        runs += [Run(member.name, (member,), is_pooled=False) for member in members]
        runs.append(Run(f"{name} (pooled)", tuple(members), is_pooled=True))
    return runs


def spec_name(document: str) -> str:
    """Return the name that a document is stored under."""
    return "".join(char if char.isalnum() else "-" for char in Path(document).stem.lower())[-64:].strip("-")
