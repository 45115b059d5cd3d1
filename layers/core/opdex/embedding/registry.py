"""The models table: one row per provider and model name, with the dimension that its first vector settled."""

from dataclasses import dataclass

from opdex.database import Connection, load_statements
from opdex.embedding.contract import ModelIdentity
from opdex.errors import ProviderMisbehaved

_SQL = load_statements("opdex.embedding", "registry.sql")


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A model's row. ``dimension`` is None until its first vector was written."""

    id: int
    dimension: int | None


def find_model(connection: Connection, identity: ModelIdentity) -> RegisteredModel | None:
    """Return the model's row; None where nothing was ever embedded with it. Writes nothing."""
    values = {"provider": identity.provider, "model": identity.model}
    row = connection.execute(_SQL["find_model"], values).fetchone()
    return RegisteredModel(**row) if row else None


def register_model(connection: Connection, identity: ModelIdentity) -> RegisteredModel:
    """Return the model's row, made at first use. Safe to call from many workers at once."""
    row = connection.execute(
        _SQL["register_model"], {"provider": identity.provider, "model": identity.model}
    ).fetchone()
    assert row is not None  # noqa: S101 - the statement returns the row that it found or made
    return RegisteredModel(**row)


def settle_dimension(connection: Connection, model: RegisteredModel, dimension: int) -> RegisteredModel:
    """Return the model with its dimension, written with its first vector. Raises ProviderMisbehaved on another one."""
    if model.dimension is None:
        row = connection.execute(_SQL["settle_dimension"], {"model_id": model.id, "dimension": dimension}).fetchone()
        model = RegisteredModel(model.id, row["dimension"] if row else None)
    if model.dimension != dimension:
        raise ProviderMisbehaved(
            f"The model answers vectors of {dimension} dimensions where {model.dimension} are stored; "
            "give the changed model a name of its own.",
        )
    return model
