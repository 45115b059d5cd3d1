"""``python -m tests.mutants [FILE]``: change jobs/ and indexing/ in small ways, and list what no test notices.

What a test noticed once is kept in .local/mutants while its function stays as it is, so a run that was stopped goes on,
and one after better tests tries the survivors alone. FILE is tried anew, whole.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.migrated_server import started_server
from tests.mutants.verdicts import keep_detected, read_verdicts

_PROJECT = Path(__file__).parents[2]
_SOURCE = Path("layers/core")
_MUTMUT = Path(sys.executable).with_name("mutmut")
# A mutant's name begins with its module's, so mutmut wants the package in a folder called src.
_LAYOUT = {
    "src": _SOURCE,
    **{
        name: Path(name)
        for name in ("tests", "migrations", "local", "functions", "events", "pyproject.toml", "template.yaml")
    },
}


def main() -> int:
    """Run the mutants, print the score and the survivors, and return 1 where one is not explained."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help="only this one, as layers/core/opdex/jobs/leases.py")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    pattern = _pattern(options.file) if options.file else "*"
    folder = _PROJECT / ".local" / "mutants"
    _lay_out(folder)
    kept = keep_detected(_MUTMUT, folder)
    began = time.monotonic()
    with started_server(folder) as server:
        ran = subprocess.run(
            [_MUTMUT, "run", "--max-children", str(options.processes), *([pattern] if options.file else [])],
            cwd=folder,
            env={**os.environ, "OPDEX_TEST_SERVER": server.maintenance_url, "PYTHONPATH": ""},
            check=False,
        )
    if ran.returncode != 0:
        return ran.returncode
    verdicts = read_verdicts(_MUTMUT, folder, pattern)
    minutes = (time.monotonic() - began) / 60
    print(f"\n{verdicts.total} mutants, {verdicts.detected} detected ({verdicts.score:.1%}), in {minutes:.0f} minutes")
    if kept:
        print(f"{kept} verdicts were there from an earlier run")
    print(f"{len(verdicts.explained)} survivors are explained in tests/mutants/survivors.toml")
    for mutant in verdicts.outdated:
        print(f"\n{mutant.function}: explained, but no survivor\n{mutant.change}")
    for survivor in verdicts.unexplained:
        print(f"\n{survivor.function}: {survivor.verdict}, and not explained\n{survivor.change}")
    return bool(verdicts.unexplained)


def _pattern(file: Path) -> str:
    inside = file.resolve().relative_to(_PROJECT / _SOURCE)
    return f"{'.'.join(inside.with_suffix('').parts)}.*"


def _lay_out(folder: Path) -> None:
    """Link what mutmut copies, and remove its copies of earlier code, but not what it noted beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, place in _LAYOUT.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(_PROJECT / place)
    for copied in (folder / "mutants").rglob("*"):
        if copied.is_file() and copied.suffix != ".meta" and copied.name != "mutmut-stats.json":
            copied.unlink()


if __name__ == "__main__":
    sys.exit(main())
