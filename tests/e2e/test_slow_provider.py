"""The case that it all began with: a slow model on a CPU, one worker, and a badge that must move.

The provider takes a tenth of the 3.7 s a text that it took then. The badge must show what it has embedded, but for the
few calls under way and the one that is being written, and move inside of the slices, of which it takes 40.
"""

import time
from pathlib import Path

from opdex.embedding.ollama import OllamaEmbedder
from tests.e2e.system import document, started_system
from tests.ollama_server import OllamaServer

_OPERATIONS = 164


def test_badge_keeps_moving_over_forty_slices_when_the_provider_is_slow(tmp_path: Path) -> None:
    shown, behind = [0], [0]
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
            warmed = len(server.texts)

            system.create_catalog("slow")
            job_id = system.upload("slow", "slow", document("slow", _OPERATIONS))["job"]["id"]
            while True:
                embedded = len(server.texts) - warmed
                status = system.statuses("slow")[0]
                if status["job_status"] in ("succeeded", "failed"):
                    break
                count = status.get("embedded_so_far", shown[-1])
                behind.append(embedded - count)
                if count != shown[-1]:
                    shown.append(count)
                time.sleep(0.02)
            job = system.call("GET", f"/embedding-jobs/{job_id}")
        texts = server.texts[warmed:]
        longest = max(len(call.texts) for call in server.calls)

    moves = len(shown) - 1
    print(f"\nmoved {moves} times in {job['slices']} slices, at most {max(behind)} texts behind the provider")
    assert (job["status"], job["attempts"]) == ("succeeded", 1)
    assert job["slices"] >= 40
    assert shown == sorted(shown)
    assert moves > 2 * job["slices"]  # most of them inside of a slice
    assert max(behind) <= (OllamaEmbedder.calls_in_flight + 1) * longest
    assert len(texts) == len(set(texts)) == _OPERATIONS
