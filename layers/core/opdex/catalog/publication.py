"""Bringing a spec's current revision to search: at once where that needs no provider, else by a job."""

from opdex.database import Connection, load_statements
from opdex.embedding.registry import RegisteredModel
from opdex.jobs.enqueue import enqueue, unpark
from opdex.observability import measure

_SQL = load_statements("opdex.catalog", "publication.sql")


def publish_or_enqueue(connection: Connection, spec_id: int, model: RegisteredModel) -> int | None:
    """Publish the current revision of a spec, whose row the caller has locked: None. Else return the job that will.

    It is published here where each of its texts has its vector and no job is open.
    """
    connection.execute(_SQL["hold_vectors"])
    values = {"spec_id": spec_id, "model_id": model.id}
    published = connection.execute(_SQL["publish_if_embedded"], values).fetchone()
    if published is not None:
        measure("TextsReused", published["operation_count"])
        unpark(connection, spec_id)
        return None
    return enqueue(connection, spec_id, "spec_write").job_id
