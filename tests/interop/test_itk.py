"""SimpleITK applies our .tfm as we do."""

from typing import Any

import SimpleITK as sitk


def test_our_transform_gives_our_image(case: Any) -> None:
    fixed, moving = (sitk.ReadImage(str(path)) for path in (case.fixed, case.moving))
    moved = sitk.Resample(moving, fixed, sitk.ReadTransform(str(case.tfm)), sitk.sitkLinear)
    case.check(sitk.GetArrayFromImage(moved))


def test_our_image_lies_on_the_fixed_one(case: Any) -> None:
    fixed, ours = (sitk.ReadImage(str(path)) for path in (case.fixed, case.ours))
    assert fixed.GetSize() == ours.GetSize()
    for one, other in (
        (fixed.GetOrigin(), ours.GetOrigin()),
        (fixed.GetSpacing(), ours.GetSpacing()),
        (fixed.GetDirection(), ours.GetDirection()),
    ):
        assert one == other
