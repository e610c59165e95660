"""How clearly the pose network sees a head: what `no_head_ml` in its sidecar was set between.

    python -m benchmarks.verdict.no_head

The volume of the structures it finds times their sharpness, the largest over the rotations that are tried: of damaged
cubes, of validation heads turned by up to 180 degrees, of halves of them, and of eighths.
"""

import numpy as np

from benchmarks.common.heads import shared_folder
from stnreg.geometry.grid import Grid
from stnreg.models.card import find
from stnreg.registration.anatomy.load import load
from stnreg.registration.anatomy.pose import certain_volumes_ml, field_center
from stnreg.resampling.block_mean import block_mean
from stnreg.simulation.cubes import CubeRecipe
from stnreg.simulation.moves import RANGES
from stnreg.training.anatomy.validation_scans import LabelledScan, half, load_validation_scans, turned

CUBES, HEADS = 16, 6


def main() -> None:
    """Measure and print."""
    network = load(find("anatomy"), threads=1, device="cpu").model.pose

    def clarity_ml(array: np.ndarray, grid: Grid) -> float:
        coarse, coarse_grid = block_mean(array, grid, network.spacing_mm)
        center = field_center(coarse, coarse_grid, np.array(network.size) * network.spacing_mm)
        return max(certain_volumes_ml(coarse, coarse_grid, center, network))

    rng = np.random.default_rng(0)
    recipe = CubeRecipe(RANGES["cubes"], 64)
    painted = [recipe.paint(recipe.plan("test", k, rng), rng).moving for k in range(CUBES)]
    scans = load_validation_scans(shared_folder() / "data/train", HEADS)
    kinds = {
        "cubes": [(one.array.astype(np.float32), one.grid) for one in painted],
        "eighths of heads": [_eighth(scan) for scan in scans],
        "halves of heads": [(one.array, one.grid) for one in (half(scan, rng) for scan in scans)],
        "turned heads": [(one.array, one.grid) for one in (turned(scan, rng) for scan in scans)],
    }
    print(f"{'':20}{'images':>7}{'least':>7}{'most':>7}   (ml; no_head_ml is {network.pose_calibration.no_head_ml:g})")
    for kind, images in kinds.items():
        found = [clarity_ml(*image) for image in images]
        print(f"{kind:20}{len(found):>7}{min(found):>7.0f}{max(found):>7.0f}")


def _eighth(scan: LabelledScan) -> tuple[np.ndarray, Grid]:
    """Cut out a corner of the field of view: half of it along each axis."""
    z, y, x = (n // 2 for n in scan.array.shape)
    corner = np.eye(4)
    corner[:3, 3] = (x, y, z)
    part = np.ascontiguousarray(scan.array[z:, y:, x:])
    return part, Grid(part.shape[::-1], scan.grid.index_to_lps @ corner)


if __name__ == "__main__":
    main()
