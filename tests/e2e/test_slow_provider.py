"""The case that it all began with: a slow model on a CPU, one worker, and a badge that must move.

The provider takes a tenth of the 3.7 s a text that it took then, and every limit is scaled alike: the badge must move
first within 1 s instead of 10 s, and then at least every second. The invocations are so short that it takes 40 of them.
"""

import time
from pathlib import Path

from tests.e2e.system import document, started_system
from tests.ollama_server import OllamaServer

_OPERATIONS = 164
_LIMIT_SECONDS = 1.0


def test_badge_keeps_moving_over_forty_slices_when_the_provider_is_slow(tmp_path: Path) -> None:
    moved: list[tuple[float, int]] = []
    with OllamaServer(seconds_per_text=0.37, calls_at_once=1) as server:
        options = (
            "--workers=1",
            "--embedding-provider=ollama",
            f"--embedding-url={server.url}",
            "--embed-timeout-seconds=2",
            "--function-variable=EMBEDDING_CHUNK_SECONDS=0.5",
        )
        with started_system(tmp_path, *options) as system:
            system.create_catalog("warm")
            system.upload("warm", "warm", document("warm", 1))
            while system.statuses("warm")[0]["job_status"] != "succeeded":
                time.sleep(0.05)
            warmed = len(server.calls)

            system.create_catalog("slow")
            job_id = system.upload("slow", "slow", document("slow", _OPERATIONS))["job"]["id"]
            began = time.monotonic()
            while (status := system.statuses("slow")[0])["job_status"] not in ("succeeded", "failed"):
                count = status.get("embedded_so_far", moved[-1][1] if moved else 0)
                if count != (moved[-1][1] if moved else 0):
                    moved.append((time.monotonic() - began, count))
                time.sleep(0.02)
            job = system.call("GET", f"/embedding-jobs/{job_id}")
        calls = server.calls[warmed:]

    assert (job["status"], job["attempts"]) == ("succeeded", 1)
    assert job["slices"] >= 40
    moments, counts = zip(*moved, strict=True)
    gaps = [after - before for before, after in zip((0.0, *moments), moments, strict=False)]
    print(f"\nfirst moved after {moments[0]:.2f} s, longest standstill {max(gaps):.2f} s, {job['slices']} slices")
    assert list(counts) == sorted(counts)
    assert moments[0] <= _LIMIT_SECONDS
    assert max(gaps) <= _LIMIT_SECONDS
    texts = [text for call in calls for text in call.texts]
    assert len(texts) == len(set(texts)) == _OPERATIONS
