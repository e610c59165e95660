"""Connected parts of a mask."""

import numpy as np
from scipy.ndimage import gaussian_filter

from stnreg.geometry.grid import Grid
from stnreg.preprocessing.components import filled, largest_component, onto

GRID = Grid.from_parts((40, 40, 40), (4.0, 4.0, 4.0), (0, 0, 0))


def test_the_largest_part_is_kept_without_sheets_and_with_its_holes_filled() -> None:
    mask = np.zeros(GRID.shape, bool)
    mask[8:28, 8:28, 8:28] = True
    mask[16:19, 16:19, 16:19] = False
    mask[35, 2:38, 2:38] = True  # a sheet
    found = largest_component(mask, GRID, opening_mm=8.0)
    assert found is not None
    assert found[8:28, 8:28, 8:28].all()
    assert not found[35].any()
    assert largest_component(np.zeros(GRID.shape, bool), GRID, 8.0) is None


def test_a_mask_is_spread_over_all_of_a_finer_grid() -> None:
    fine = Grid.from_parts((80, 80, 80), (2.0, 2.0, 2.0), (-1, -1, -1))
    assert np.allclose(onto(np.ones(GRID.shape, bool), GRID, fine), 1)


def test_all_is_as_itk_does_it() -> None:
    import SimpleITK as sitk

    rng = np.random.default_rng(0)
    for axes in (2, 3):
        region = gaussian_filter(rng.normal(size=(30,) * axes), 1) > 0
        holes = sitk.BinaryFillhole(sitk.GetImageFromArray(region.astype(np.uint8)))
        assert (filled(region) == (sitk.GetArrayFromImage(holes) > 0)).all()
    for opening_mm in (8.0, 20.0):
        mask = gaussian_filter(rng.normal(size=GRID.shape), 3) > 0
        assert (largest_component(mask, GRID, opening_mm) == by_itk(mask, opening_mm)).all()


def by_itk(mask: np.ndarray, opening_mm: float) -> np.ndarray:
    import SimpleITK as sitk

    radius = [max(round(opening_mm / 2 / float(s)), 1) for s in GRID.spacing]
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    parts = sitk.ConnectedComponent(sitk.BinaryErode(image, radius, boundaryToForeground=True))
    grown = sitk.BinaryDilate(sitk.RelabelComponent(parts, sortByObjectSize=True) == 1, [r + 1 for r in radius])
    return sitk.GetArrayFromImage(sitk.BinaryFillhole(sitk.And(grown, sitk.Cast(image, grown.GetPixelID())))) > 0
