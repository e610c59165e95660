"""What `stnreg calibrate` measures of a released network, beside what its sidecar holds.

    python -m benchmarks.networks.calibration [MODEL] [--outcomes CSV]

Runs on the validation scans, writes nothing to the sidecar. The last line is the least score by the same rule on the
outcomes that `benchmarks.verdict.run` wrote.
"""

import argparse
from pathlib import Path

from benchmarks.common.heads import shared_folder
from stnreg.models.card import find
from stnreg.training.anatomy.calibrate import measure, table
from stnreg.training.anatomy.thresholds import choose_score, read_outcomes

OUTCOMES = Path(__file__).parents[1] / "results" / "verdict-validation-refined.csv"


def main() -> None:
    """Measure, and print the table without the spread of each structure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="anatomy")
    parser.add_argument("--outcomes", type=Path, default=OUTCOMES)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    found = measure(find(options.model), shared_folder() / "data" / "train", check=True, threads=options.threads)
    lines = [line for line in table(found) if not line[0].startswith("spread_mm ")]
    scores = read_outcomes(options.outcomes)
    chosen = {
        "min_score": choose_score(scores.good, scores.failed),
        "min_one_person_score": choose_score(scores.one_person_good, scores.one_person_failed, " of one person"),
    }
    lines += [(f"{name}, {options.outcomes.stem}", one.value, "", one.how) for name, one in chosen.items() if one]
    print(f"{'':37s} {'measured':>9s} {'sidecar':>9s}  rule")
    for name, measured, sidecar, rule in lines:
        print(f"{name:37s} {measured:9g} {sidecar if sidecar == '' else f'{sidecar:g}':>9s}  {rule}".rstrip())


if __name__ == "__main__":
    main()
