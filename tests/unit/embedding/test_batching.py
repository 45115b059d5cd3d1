from hypothesis import given
from hypothesis import strategies as st

from opdex.embedding import BatchLimits
from opdex.embedding.batching import ChunkSizer

TEXTS = ["a text"] * 200
LIMITS = BatchLimits(max_texts=32, max_characters=10_000)


def sizer() -> ChunkSizer:
    return ChunkSizer()


def test_next_chunk_is_one_text_when_the_speed_is_unknown() -> None:
    assert sizer().next_chunk(TEXTS, LIMITS, time_left=60) == 1


def test_next_chunk_is_zero_when_there_is_no_text_or_no_time() -> None:
    assert sizer().next_chunk([], LIMITS, time_left=60) == 0
    assert sizer().next_chunk(TEXTS, LIMITS, time_left=0) == 0


def test_next_chunk_grows_fourfold_at_most_when_the_provider_is_fast() -> None:
    chunks = sizer()
    sizes = []
    for _ in range(5):
        sizes.append(chunks.next_chunk(TEXTS, LIMITS, time_left=60))
        chunks.measured(sizes[-1], sizes[-1] * 0.001)
    assert sizes == [1, 4, 16, 32, 32]


def test_next_chunk_stays_one_text_when_a_text_takes_most_of_the_target() -> None:
    chunks = sizer()
    chunks.measured(1, 3.7)
    assert chunks.next_chunk(TEXTS, LIMITS, time_left=600) == 1


def test_next_chunk_is_small_when_the_call_should_be_short() -> None:
    chunks = sizer()
    chunks.measured(16, 1.6)
    assert chunks.next_chunk(TEXTS, LIMITS, time_left=600, target_seconds=0.5) == 5


def test_next_chunk_is_one_text_when_a_text_takes_longer_than_the_target() -> None:
    chunks = sizer()
    chunks.measured(1, 12)
    assert chunks.next_chunk(TEXTS, LIMITS, time_left=600) == 1


def test_next_chunk_shrinks_at_once_when_the_provider_slows_down() -> None:
    chunks = sizer()
    for texts in (1, 4, 16, 32):
        chunks.measured(texts, texts * 0.01)
    chunks.measured(32, 32.0)
    assert chunks.next_chunk(TEXTS, LIMITS, time_left=600) == 5


def test_next_chunk_grows_by_and_by_when_a_freak_measurement_is_over() -> None:
    chunks = sizer()
    chunks.measured(1, 40)  # the model was being loaded
    sizes = []
    for _ in range(7):
        sizes.append(chunks.next_chunk(TEXTS, LIMITS, time_left=600))
        chunks.measured(sizes[-1], sizes[-1] * 0.1)
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (1, 32)


def test_next_chunk_fits_the_time_left_with_a_margin_when_the_deadline_is_near() -> None:
    chunks = sizer()
    for texts in (1, 4, 16, 32):
        chunks.measured(texts, texts * 0.1)
    assert chunks.next_chunk(TEXTS, LIMITS, time_left=600) == 32
    assert chunks.next_chunk(TEXTS, LIMITS, time_left=1.51) == 10
    assert chunks.next_chunk(TEXTS, LIMITS, time_left=0.14) == 0


def test_next_chunk_is_one_text_when_even_a_whole_slice_seems_too_short() -> None:
    chunks = sizer()
    assert chunks.next_chunk(TEXTS, LIMITS, time_left=4) == 1
    chunks.measured(1, 3.7)
    assert chunks.next_chunk(TEXTS, LIMITS, time_left=0.3) == 0
    assert chunks.next_chunk(TEXTS, LIMITS, time_left=3.9) == 1  # the next slice, a little later in its life


def test_next_chunk_halves_when_a_call_timed_out() -> None:
    chunks = sizer()
    for texts in (1, 4, 16, 32):
        chunks.measured(texts, texts * 0.01)
    chunks.failed(32)
    assert chunks.next_chunk(TEXTS, LIMITS, time_left=600) == 16
    chunks.failed(16)
    assert chunks.next_chunk(TEXTS, LIMITS, time_left=600) == 8
    chunks.failed(1)
    assert chunks.next_chunk(TEXTS, LIMITS, time_left=600) == 1


def test_next_chunk_keeps_to_the_characters_of_a_call_when_texts_are_long() -> None:
    chunks = sizer()
    chunks.measured(32, 0.1)
    assert chunks.next_chunk(["x" * 4_000] * 5, LIMITS, time_left=60) == 2
    assert chunks.next_chunk(["x" * 40_000] * 5, LIMITS, time_left=60) == 1


def test_next_chunk_follows_the_limits_when_they_have_become_narrower() -> None:
    chunks = sizer()
    chunks.measured(32, 0.1)
    assert chunks.next_chunk(TEXTS, BatchLimits(max_texts=1, max_characters=10_000), time_left=60) == 1


@given(
    seconds_per_text=st.floats(0.0001, 30),
    time_left=st.floats(0.01, 900),
    steps=st.lists(st.integers(1, 200), min_size=1, max_size=8),
)
def test_next_chunk_keeps_every_bound_when_the_speed_is_steady(
    seconds_per_text: float, time_left: float, steps: list[int]
) -> None:
    chunks = sizer()
    chunks.next_chunk(TEXTS, LIMITS, time_left=1_000)
    largest = 1
    for texts in steps:
        count = chunks.next_chunk(TEXTS[:texts], LIMITS, time_left)
        assert count <= min(texts, LIMITS.max_texts, largest)
        assert count <= 1 or count * seconds_per_text <= min(5.0, time_left) * 1.001
        if count:
            chunks.measured(count, count * seconds_per_text)
            largest = max(largest, 4 * count)
