"""The models table: one row per provider and model name, with the dimension of its vectors."""

from dataclasses import dataclass

from opdex.database import Connection, load_statements
from opdex.embedding.contract import ModelIdentity
from opdex.errors import ProviderMisbehaved

_SQL = load_statements("opdex.embedding", "registry.sql")


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A model's row, as it was read. ``dimension`` is None before the first vector."""

    id: int
    dimension: int | None


def find_model(connection: Connection, identity: ModelIdentity) -> RegisteredModel | None:
    """Return the model's row; None where nothing was ever embedded with it. Writes nothing."""
    values = {"provider": identity.provider, "model": identity.model}
    row = connection.execute(_SQL["find_model"], values, prepare=True).fetchone()
    return RegisteredModel(**row) if row else None


def register_model(connection: Connection, identity: ModelIdentity) -> RegisteredModel:
    """Return the model's row, made at first use. Safe to call from many workers at once."""
    values = {"provider": identity.provider, "model": identity.model}
    row = connection.execute(_SQL["register_model"], values, prepare=True).fetchone()
    assert row is not None  # noqa: S101 - the statement returns the row that it found or made
    return RegisteredModel(**row)


def settle_dimension(
    connection: Connection, model: RegisteredModel, dimension: int, texts: int
) -> tuple[RegisteredModel, bool]:
    """Return the model with its dimension, and whether vectors of another one had to be forgotten for it.

    Nobody can tell whether the very first answer of a provider had the right length. So until something is published
    under the model, as many texts of another length as have been embedded so far overrule them. ``texts`` is the number
    of texts just embedded. For a transaction of its own. Raises ProviderMisbehaved where the model's length is settled.
    """
    values = {"model_id": model.id, "dimension": dimension, "texts": texts}
    connection.execute(_SQL["hold_vectors"])
    stored = connection.execute(_SQL["lock_model"], values).fetchone()
    assert stored is not None  # noqa: S101 - models are never deleted
    known = stored["dimension"]
    if known != dimension:
        answer = connection.execute(_SQL["is_settled"], values).fetchone()
        if known is not None and answer is not None and answer["settled"]:
            raise another_length(dimension, known)
        connection.execute(_SQL["forget_vectors"], values)
        connection.execute(_SQL["settle_dimension"], values)
    return RegisteredModel(model.id, dimension), known not in (None, dimension)


def require_dimension(connection: Connection, model: RegisteredModel, dimension: int) -> None:
    """Keep the model's dimension until the transaction ends. Raises ProviderMisbehaved where it is another one."""
    values = {"model_id": model.id, "dimension": dimension}
    if connection.execute(_SQL["has_dimension"], values, prepare=True).fetchone() is None:
        raise another_length(dimension, model.dimension)


def another_length(answered: int, stored: int | None) -> ProviderMisbehaved:
    """Return the error for vectors of one length where the model has another."""
    return ProviderMisbehaved(
        f"The model answers vectors of {answered} dimensions where {stored} are stored; "
        "give the changed model a name of its own."
    )
