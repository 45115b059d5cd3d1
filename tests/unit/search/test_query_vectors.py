from collections.abc import Sequence

import numpy as np
import pytest

from opdex.embedding.contract import Embedder, ModelIdentity, Vector
from opdex.errors import ProviderTimeout
from opdex.search.query_vectors import QueryVectors
from tests.integration.engine import ScriptedEmbedder


class Counting(ScriptedEmbedder):
    """Remembers what it was asked."""

    def __init__(self, model: str = "hash-8") -> None:
        super().__init__(model=model)
        self.asked: list[list[str]] = []
        self.dimension = 8

    def embed_queries(self, texts: Sequence[str]) -> list[Vector]:
        self.asked.append(list(texts))
        return [vector[: self.dimension] for vector in super().embed_queries(texts)]


def test_texts_are_embedded_in_one_call_when_none_is_known() -> None:
    embedder, vectors = Counting(), QueryVectors()
    found = vectors.of(embedder, ["a", "b", "a"])
    assert embedder.asked == [["a", "b"]]
    assert found == np.array(embedder.embed_queries(["a", "b", "a"]), np.float32).tolist()


def test_only_the_missing_are_embedded_when_others_are_known() -> None:
    embedder, vectors = Counting(), QueryVectors()
    first = vectors.of(embedder, ["a", "b"])
    assert vectors.of(embedder, ["b", "c", "a"])[::2] == first[::-1]
    assert vectors.of(embedder, ["c"]) == vectors.of(embedder, ["c"])
    assert embedder.asked == [["a", "b"], ["c"]]


def test_vectors_are_those_of_the_model_when_it_has_changed() -> None:
    one, other, vectors = Counting("one"), Counting("other"), QueryVectors()
    vectors.of(one, ["a"])
    vectors.of(other, ["a"])
    assert (one.asked, other.asked) == ([["a"]], [["a"]])
    assert other.identity == ModelIdentity("scripted", "other")


def test_all_are_embedded_again_when_the_dimension_has_changed() -> None:
    embedder, vectors = Counting(), QueryVectors()
    vectors.of(embedder, ["a"])
    embedder.dimension = 4
    assert [len(vector) for vector in vectors.of(embedder, ["a", "b"])] == [4, 4]
    assert embedder.asked == [["a"], ["b"], ["a", "b"]]


def test_texts_are_embedded_again_when_they_were_forgotten() -> None:
    embedder, vectors = Counting(), QueryVectors()
    vectors.of(embedder, ["a", "b"])
    vectors.forget(embedder.identity, ["a", "c"])
    vectors.of(embedder, ["a", "b"])
    assert embedder.asked == [["a", "b"], ["a"]]


def test_least_used_are_forgotten_when_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opdex.search.query_vectors._MOST", 2)
    embedder, vectors = Counting(), QueryVectors()
    for texts in (["a"], ["b"], ["a"], ["c"], ["a"], ["b"]):
        vectors.of(embedder, texts)
    assert embedder.asked == [["a"], ["b"], ["c"], ["b"]]


def test_least_used_are_forgotten_when_they_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    embedder, vectors = Counting(), QueryVectors()
    monkeypatch.setattr("opdex.search.query_vectors._MOST_BYTES", 2 * 4 * len(embedder.embed_queries(["a"])[0]))
    embedder.asked.clear()
    for texts in (["a"], ["b"], ["a"], ["c"], ["a"], ["b"]):
        vectors.of(embedder, texts)
    assert embedder.asked == [["a"], ["b"], ["c"], ["b"]]


def test_text_is_embedded_again_when_its_vector_is_ten_minutes_old() -> None:
    moments = iter([0.0, 599.0, 600.0, 601.0, 1_200.0])  # of each vector's making and of each look at one
    embedder, vectors = Counting(), QueryVectors(lambda: next(moments))
    for _ in range(4):
        vectors.of(embedder, ["a"])
    assert embedder.asked == [["a"], ["a"]]


def test_all_are_answered_when_one_query_has_more_than_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opdex.search.query_vectors._MOST", 2)
    embedder, vectors = Counting(), QueryVectors()
    assert len(vectors.of(embedder, ["a", "b", "c", "d"])) == 4
    monkeypatch.setattr("opdex.search.query_vectors._MOST_BYTES", 1)
    assert len(vectors.of(embedder, ["a", "b", "c", "d"])) == 4


def test_nothing_is_remembered_when_the_provider_fails() -> None:
    class Failing(Counting):
        def embed_queries(self, texts: Sequence[str]) -> list[Vector]:
            if not self.reachable:
                raise ProviderTimeout("too slow")
            return super().embed_queries(texts)

    embedder, vectors = Failing(), QueryVectors()
    embedder.reachable = False
    usable: Embedder = embedder
    with pytest.raises(ProviderTimeout):
        vectors.of(usable, ["a"])
    embedder.reachable = True
    assert len(vectors.of(usable, ["a"])) == 1
