from pathlib import Path

from tests.evaluation.published import read_baselines, read_recipe
from tests.evaluation.scores import METRICS

_HEAD = "\t".join(("set", "method", "queries", "R@1", *METRICS))


def _corpus(folder: Path, *rows: str) -> Path:
    (folder / "queries").mkdir()
    (folder / "queries" / "BASELINES.tsv").write_text("\n".join((_HEAD, *rows)), "utf-8")
    return folder


def test_baselines_are_those_of_the_corpus_by_run_and_method(tmp_path: Path) -> None:
    figures = "9\t0.1\t0.2\t0.3\t0.4\t0.5\t0.6"
    corpus = _corpus(
        tmp_path,
        f"pets\tBM25\t{figures}",
        f"pets\tMiniLM\t{figures}",
        f"wapiibench, all four (pooled, 395)\tBM25\t{figures}",
        f"toolalpaca_eval_simulated (pooled)\tBM25\t{figures}",
    )

    baselines = read_baselines(corpus)

    assert {run: [*methods] for run, methods in baselines.items()} == {
        "pets": ["BM25", "MiniLM"],
        "wapiibench (pooled)": ["BM25"],
        "toolalpaca (pooled)": ["BM25"],
    }
    assert baselines["pets"]["BM25"] == {"R@5": 0.2, "R@10": 0.3, "R@20": 0.4, "MRR": 0.5, "nDCG@10": 0.6}


def test_there_are_no_baselines_when_the_corpus_has_none(tmp_path: Path) -> None:
    assert read_baselines(tmp_path) == {}


def test_recipe_has_its_column_for_each_run_that_it_was_measured_in() -> None:
    recipe = read_recipe()

    assert recipe.keys() == {
        "wapiibench_asana", "wapiibench_slack", "wapiibench_google_calendar_v3", "wapiibench (pooled)", "socbench_d",
        "toolalpaca (pooled)",
    }  # fmt: skip
    assert all([*columns] == ["RRF", "H", "G"] for columns in recipe.values())
    assert recipe["socbench_d"]["G"] == {"R@5": 0.827, "R@10": 0.955, "R@20": 0.993, "MRR": 0.965, "nDCG@10": 0.927}
