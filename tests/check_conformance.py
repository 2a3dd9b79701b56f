"""Compares the conformance scores with the floors in conformance_floor.json, and fails below one.

    python tests/check_conformance.py [DIRECTORY] [--suite ops,grads]

DIRECTORY holds score.py and random_exact.py; without it, `shared/conformance` is looked for in the folders above the
repository (and in $RTORCH_CONFORMANCE). Where there is none, there is nothing to check.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
FLOORS = HERE / "conformance_floor.json"
RANDOM = "random_exact"


def find_corpus(given):
    """The folder with the scoring programs, or None."""
    candidates = [given, os.environ.get("RTORCH_CONFORMANCE")]
    if not any(candidates):
        above = [*HERE.parents, Path.cwd(), *Path.cwd().parents]
        candidates = [folder / "shared" / "conformance" for folder in above]
    for folder in candidates:
        if folder and (Path(folder) / "score.py").is_file():
            return Path(folder)
    return None


def run(program, *args):
    """Runs a scoring program from outside the repository, so that the installed package is what it imports."""
    with tempfile.TemporaryDirectory() as elsewhere:
        done = subprocess.run(
            [sys.executable, str(program), "--module", "rtorch", *args], cwd=elsewhere, capture_output=True, text=True
        )
    if done.returncode:
        sys.exit(f"{program} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def suite_scores(folder, suites):
    """Per suite: ops fully passing, ops, and those that crashed or hung. Promotion counts its cases: an op there is a
    table of several hundred pairs of dtypes."""
    with tempfile.TemporaryDirectory() as tmp:
        out = Path(tmp) / "score.json"
        run(folder / "score.py", "--suite", ",".join(suites), "--json", str(out))
        found = json.loads(out.read_text())["suites"]
    counts = {s: ("cases_pass", "cases") if s == "promotion" else ("ops_full", "ops") for s in found}
    return {s: (r[counts[s][0]], r[counts[s][1]], r["crash"]) for s, r in found.items()}


def random_score(folder):
    last = run(folder / "random_exact.py", "--show-failures", "0").strip().splitlines()[-1]
    passed, failed = map(int, re.fullmatch(r"(\d+) passed, (\d+) failed", last).groups())
    return passed, passed + failed, []


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", help="where score.py is")
    parser.add_argument("--suite", default="", help="a comma list of suites instead of all that have a floor")
    args = parser.parse_args()

    floors = json.loads(FLOORS.read_text())
    wanted = [s for s in args.suite.split(",") if s] or list(floors)
    unknown = [s for s in wanted if s not in floors]
    if unknown:
        parser.error(f"no floor for {', '.join(unknown)}; there is one for {', '.join(floors)}")
    folder = find_corpus(args.folder)
    if folder is None:
        if args.folder:
            parser.error(f"{args.folder} holds no score.py")
        print("no conformance corpus at hand: nothing to check")
        return 0

    suites = [s for s in wanted if s != RANDOM]
    scores = suite_scores(folder, suites) if suites else {}
    if RANDOM in wanted and (folder / "random_exact.py").is_file():
        scores[RANDOM] = random_score(folder)

    below = False
    print(f"{'suite':<14}{'passing':>13}{'score':>10}{'floor':>10}")
    for suite in wanted:
        if suite not in scores:
            print(f"{suite:<14}{'no result':>13}{'':>10}{floors[suite]:>9.1f}%  BELOW")
            below = True
            continue
        passed, total, crashed = scores[suite]
        percent = 100.0 * passed / total if total else 0.0
        bad = percent < floors[suite]
        below |= bad
        print(
            f"{suite:<14}{f'{passed}/{total}':>13}{percent:>9.1f}%{floors[suite]:>9.1f}%{'  BELOW' if bad else ''}"
            + (f"  crashed or hung: {' '.join(crashed)}" if crashed else "")
        )
    return int(below)


if __name__ == "__main__":
    sys.exit(main())
