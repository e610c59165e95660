"""Foreign matrices against other people's readers of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stnreg.baselines.elastix import parameter_map_matrix
from stnreg.baselines.flirt import from_fsl
from stnreg.geometry.affine import Parameters, apply_affine, from_parameters
from stnreg.geometry.orientation import swap_lps_ras
from stnreg.images.volume import Volume, save_volume


@given(st.lists(st.floats(-3, 3, allow_subnormal=False), min_size=12, max_size=12), st.booleans())
def test_elastix_euler_is_itks(numbers, zyx):
    import SimpleITK as sitk

    angles, shift, center = numbers[:3], numbers[3:6], numbers[6:9]
    transform = sitk.Euler3DTransform(center, *angles, shift)
    transform.SetComputeZYX(zyx)
    ours = parameter_map_matrix(
        {
            "Transform": ("EulerTransform",),
            "TransformParameters": tuple(map(str, angles + shift)),
            "CenterOfRotationPoint": tuple(map(str, center)),
            "ComputeZYX": (str(zyx).lower(),),
        }
    )
    assert np.allclose(apply_affine(ours, numbers[9:]), transform.TransformPoint(numbers[9:]), atol=1e-9)


@pytest.mark.parametrize("fixed_name", ["LPS", "RAS", "LIA", "oblique"])
@pytest.mark.parametrize("moving_name", ["RAS", "anisotropic", "LPS"])
def test_flirt_matrices_are_what_nitransforms_makes_of_them(fixed_name, moving_name, grids_by_name, tmp_path):
    fsl = pytest.importorskip("nitransforms.io.fsl", reason="needs nitransforms: pip install 'stnreg[peers]'")
    fixed, moving = grids_by_name[fixed_name], grids_by_name[moving_name]
    paths = []
    for name, grid in (("fixed", fixed), ("moving", moving)):
        paths.append(tmp_path / f"{name}.nii")
        save_volume(paths[-1], np.zeros(grid.shape, np.float32), like=Volume(np.zeros(grid.shape), grid))
    truth = from_parameters(Parameters((5, -3, 8), (10, -5, 20), (1.1, 0.9, 1.0), (0.05, 0, 0.02)), (0, 0, 0))
    written = fsl.FSLLinearTransform.from_ras(swap_lps_ras(truth), reference=paths[0], moving=paths[1])
    matrix = np.vstack([written["parameters"][:3], (0, 0, 0, 1)])  # its last row is off by 1e-16
    found = from_fsl(matrix, fixed, moving)
    assert np.allclose(apply_affine(found, fixed.corners_lps()), apply_affine(truth, fixed.corners_lps()), atol=1e-3)
