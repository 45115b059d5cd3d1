"""Reciprocal rank fusion (Cormack, Clarke, Büttcher, SIGIR 2009): the sum of 1 / (k + rank) over the channels."""

from collections.abc import Hashable, Mapping, Sequence

# The paper's constant; results are flat around it.
K = 60


def fuse[Channel: str, Key: Hashable](
    ranked: Mapping[Channel, Sequence[Key]],
) -> list[tuple[Key, float, list[Channel]]]:
    """Fuse the channels' rankings, each best first: (key, score, channels that have it), best first.

    The score is 1 where every channel has the key first. Equal scores keep the order of the channels given first.
    """
    scores: dict[Key, float] = {}
    matched: dict[Key, list[Channel]] = {}
    best = len(ranked) / (K + 1)
    for channel, keys in ranked.items():
        for rank, key in enumerate(keys, start=1):
            scores[key] = scores.get(key, 0.0) + 1 / (K + rank)
            matched.setdefault(key, []).append(channel)
    ordered = sorted(scores, key=lambda key: -scores[key])
    return [(key, scores[key] / best, matched[key]) for key in ordered]
