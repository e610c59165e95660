"""Greedy applies our .tfm as we do, forward and inverted."""

from pathlib import Path
from typing import Any

import pytest

from stnreg.geometry.affine import invert
from stnreg.images.volume import load_volume
from stnreg.transforms.io.files import save_transform

picsl_greedy = pytest.importorskip("picsl_greedy", reason="needs picsl_greedy: pip install 'stnreg[peers]'")


@pytest.mark.parametrize("is_inverted", [False, True])
def test_our_transform_gives_our_image(case: Any, tmp_path: Path, is_inverted: bool) -> None:
    path, out = tmp_path / "a.tfm", tmp_path / "greedy.nii.gz"
    save_transform(path, invert(case.fixed_to_moving) if is_inverted else case.fixed_to_moving)
    link = f"{path},-1" if is_inverted else str(path)
    picsl_greedy.Greedy3D().execute(f"-d 3 -threads 1 -rf {case.fixed} -rm {case.moving} {out} -r {link}")
    case.check(load_volume(out).array)
