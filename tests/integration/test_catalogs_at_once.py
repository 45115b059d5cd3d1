"""Catalogs made, filled, cloned, renamed and deleted by several clients at once, beside a worker and retention."""

import random
import threading
from collections import Counter
from collections.abc import Callable

from opdex.catalog.clone import clone_catalog
from opdex.catalog.store import create_catalog, delete_catalog, delete_spec, update_catalog
from opdex.catalog.upload import store_document
from opdex.database import Connection
from opdex.errors import Conflict, NotFound
from opdex.jobs import enqueue
from opdex.jobs.retention import apply_retention
from opdex.openapi import describe
from tests.integration.engine import Engine, document, things, wait_until

_CLIENTS, _ACTS = 4, 120
_CATALOGS, _SPECS = ("a", "b", "c", "d"), ("users", "orders", "items")

_TORN = """
    SELECT r.spec_id, r.revision FROM revisions r LEFT JOIN operations o USING (spec_id, revision)
    GROUP BY r.spec_id, r.revision HAVING count(o.position) <> r.operation_count
"""
_PUBLISHED_WITHOUT_VECTOR = """
    SELECT s.id FROM specs s
    JOIN operations o ON o.spec_id = s.id AND o.revision = s.published_revision
    LEFT JOIN vectors v ON v.model_id = s.published_model_id AND v.text_hash = o.text_hash
    WHERE v.text_hash IS NULL
"""
_OPEN = "SELECT id FROM jobs WHERE status IN ('pending', 'running')"
_OLD_VECTORS = "UPDATE vectors SET made_at = now() - interval '15 days' WHERE get_byte(text_hash, 0) < 128"


def _act(c: Connection, chance: random.Random, engine: Engine) -> None:
    catalog_id, another, model = chance.choice(_CATALOGS), chance.choice(_CATALOGS), engine.embedder.identity
    match chance.choice(["create", "upload", "upload", "clone", "clone", "delete", "delete spec", "rename", "reembed"]):
        case "create":
            create_catalog(c, id=catalog_id, name=catalog_id, version="1")
        case "upload":
            raw = document(things(chance.randint(1, 20), chance.choice(["thing", "item"])))
            store_document(c, catalog_id, chance.choice(_SPECS), raw, describe(raw), "upload", None, model)
        case "clone":
            clone_catalog(c, catalog_id, model, id=another, name=another, version="1")
        case "delete":
            delete_catalog(c, catalog_id)
        case "delete spec":
            delete_spec(c, catalog_id, chance.choice(_SPECS))
        case "rename":
            update_catalog(c, catalog_id, version=chance.choice("123"))
        case "reembed":
            enqueue.reembed_catalog(c, catalog_id)


def test_nothing_is_torn_and_nobody_fails_when_catalogs_change_at_once(database_url: str) -> None:
    over = threading.Event()
    done: Counter[str] = Counter()
    failures: list[BaseException] = []

    def client(number: int) -> None:
        mine, chance = Engine(database_url), random.Random(number)
        for _ in range(_ACTS):
            try:
                mine.transact(lambda c: _act(c, chance, mine))
                done["acts"] += 1
            except (Conflict, NotFound):
                done["refused"] += 1
        mine.close()

    def worker() -> None:
        mine = Engine(database_url)
        while not over.is_set():
            done.update(mine.worker().outcomes(seconds=5))
        mine.close()

    def retention() -> None:
        mine = Engine(database_url)
        while not over.is_set():
            mine.sql(_OLD_VECTORS)
            done["forgotten"] += apply_retention(mine.database, days=14, seconds=5).operations
            assert mine.sql(_TORN) == []
            assert mine.sql(_PUBLISHED_WITHOUT_VECTOR) == []
        mine.close()

    def noting_failures(run: Callable[[], None]) -> Callable[[], None]:
        def noting() -> None:
            try:
                run()
            except BaseException as error:  # noqa: BLE001 - told in the test's own thread
                failures.append(error)

        return noting

    clients = [threading.Thread(target=noting_failures(lambda n=n: client(n))) for n in range(_CLIENTS)]  # type: ignore[misc]
    others = [threading.Thread(target=noting_failures(run)) for run in (worker, retention)]
    for thread in (*clients, *others):
        thread.start()
    for thread in clients:
        thread.join()
    # What is left open is nobody's to change any more: the worker comes to an end with it.
    last = Engine(database_url)
    last.job_id("last", things(3, "last"), "last")
    wait_until(lambda: bool(failures) or last.sql(_OPEN) == [], seconds=60)
    last.close()
    over.set()
    for thread in others:
        thread.join()

    assert failures == []
    assert min(done[kind] for kind in ("acts", "refused", "published", "forgotten")) > 0, done
