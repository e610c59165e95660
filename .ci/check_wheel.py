"""Check that a wheel holds what belongs in it and nothing else, and write down which packages it needs.

    python .ci/check_wheel.py FILE.whl NEEDED.txt

NEEDED.txt is for `pip install -r`: what the wheel asks for without extras, but the small build of onnxruntime in place
of the one for GPUs, which is the same for a CPU and ten times as large.
"""

import re
import stat
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

from stnreg.cli import VERBS

ROOT = Path(__file__).parents[1]
LARGEST_MB = 25
NETWORKS = ("affine", "affine-last", "anatomy", "anatomy-pose", "separate", "separate-last", "synthesis", "velocity")
TEMPLATES = (
    "NOTICE-MNI152.txt",
    "tpl-MNI152NLin2009aSym_res-01_desc-brain_T1w.nii.gz",
    "tpl-MNI152NLin2009aSym_res-01_desc-brain_T1w_anatomy.npz",
)
ABOUT = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE", "licenses/NOTICE")


def expected(root: Path = ROOT) -> set[str]:
    """Name what belongs in a wheel of a tree; `stnreg-VERSION` is `stnreg` in front of `.data` and `.dist-info`."""
    code = {path.relative_to(root).as_posix() for path in (root / "stnreg").rglob("*") if path.is_file()}
    pages = {"stnreg.1", "stnreg-bids.1", *(f"stnreg-{verb}.1" for verb in VERBS)}
    return {
        *(name for name in code if "__pycache__" not in name),
        *(f"stnreg/weights/{name}.{suffix}" for name in NETWORKS for suffix in ("onnx", "json")),
        *(f"stnreg/templates/{name}" for name in TEMPLATES),
        *(f"stnreg.data/data/share/man/man1/{page}" for page in pages),
        *(f"stnreg.dist-info/{name}" for name in ABOUT),
    }


def faults(names: Iterable[str], root: Path = ROOT) -> list[str]:
    """Say what is missing among the names of a wheel, and what should not be there."""
    found = {re.sub(r"^stnreg-[^/]+(?=\.(data|dist-info)/)", "stnreg", name) for name in names}
    wanted = expected(root)
    return [
        *(f"not in the wheel: {name}" for name in sorted(wanted - found)),
        *(f"should not be in the wheel: {name}" for name in sorted(found - wanted)),
    ]


def needed(metadata: str) -> list[str]:
    """Return what a wheel's metadata ask for without extras, as lines for `pip install -r`."""
    asked = [line for line in re.findall(r"^Requires-Dist: (.*)$", metadata, re.MULTILINE) if "extra ==" not in line]
    small = {re.sub(r"^onnxruntime(-gpu)?([^;]*).*", r"onnxruntime\2", line) for line in asked if "onnxruntime" in line}
    return [*(line for line in asked if "onnxruntime" not in line), *sorted(small)]


def main(wheel: str, list_of_needed: str) -> int:
    """Check a wheel; 1 if anything is wrong with it."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        (about,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        Path(list_of_needed).write_text("\n".join((*needed(archive.read(about).decode()), "")))
        links = [one.filename for one in archive.infolist() if stat.S_ISLNK(one.external_attr >> 16)]
    megabytes = Path(wheel).stat().st_size / 1e6
    print(f"{Path(wheel).name}: {megabytes:.1f} MB")
    wrong = [*faults(names), *(f"is a symbolic link: {name}" for name in links)]
    if megabytes > LARGEST_MB:
        wrong.append(f"the wheel has {megabytes:.1f} MB, {LARGEST_MB} at most")
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
