"""What tests share: a small smooth brain, grids of every kind, and strategies for grids and affines.

Strategies are registered by type, so a test says `st.from_type(Grid)` and imports nothing from here.
"""

import hashlib
import json
import locale
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from stnreg.geometry.affine import Parameters, apply_affine, from_parameters, invert
from stnreg.geometry.grid import Grid
from stnreg.images.volume import Volume

settings.register_profile("stnreg", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("stnreg")


def floats(low: float, high: float) -> st.SearchStrategy[float]:
    # ITK 5 inverts matrices with subnormal entries to NaN.
    return st.floats(low, high, allow_subnormal=False)


def triples(low: float, high: float) -> st.SearchStrategy[tuple[float, float, float]]:
    return st.tuples(*[floats(low, high)] * 3)


parameters = st.builds(
    Parameters,
    translation_mm=triples(-60, 60),
    rotation_deg=st.tuples(floats(-170, 170), floats(-80, 80), floats(-170, 170)),
    scale=triples(0.6, 1.6),
    shear=triples(-0.3, 0.3),
)


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    """Any axis order, flip, obliqueness, spacing; never sheared."""
    turn = from_parameters(Parameters(rotation_deg=draw(triples(-40, 40))), (0, 0, 0))[:3, :3]
    order = draw(st.permutations(range(3)))
    signs = draw(st.tuples(*[st.sampled_from((-1.0, 1.0))] * 3))
    size = draw(st.tuples(*[st.integers(2, 40)] * 3))
    return Grid.from_parts(size, draw(triples(0.4, 5)), draw(triples(-200, 200)), turn @ np.eye(3)[:, order] * signs)


st.register_type_strategy(Parameters, parameters)
st.register_type_strategy(Grid, grids())


def _grid(size: tuple[int, int, int], spacing: tuple[float, float, float], direction: np.ndarray) -> Grid:
    """Lay a grid so that the middle of the head, (5, -10, 20) LPS, is near its own."""
    origin = np.array([5.0, -10.0, 20.0]) - (direction * spacing) @ ((np.array(size) - 1) / 2)
    return Grid.from_parts(size, spacing, origin, direction)


_OBLIQUE = from_parameters(Parameters(rotation_deg=(12, -18, 25)), (0, 0, 0))[:3, :3]
GRIDS = {
    "LPS": _grid((40, 44, 42), (4.0, 4.0, 4.0), np.eye(3)),
    "RAS": _grid((41, 45, 40), (4.0, 4.0, 4.0), np.diag([-1.0, -1.0, 1.0])),
    "LIA": _grid((42, 40, 46), (4.0, 4.0, 4.0), np.array([[1.0, 0, 0], [0, 0, -1], [0, -1, 0]])),
    "oblique": _grid((46, 48, 46), (4.0, 3.8, 4.0), _OBLIQUE),
    "anisotropic": _grid((64, 70, 24), (2.5, 2.5, 7.0), np.diag([-1.0, 1.0, 1.0])),
}


@dataclass(frozen=True)
class Phantom:
    """A head in closed form: asymmetric on every axis, smooth, zero far away."""

    # centre (LPS mm), radii (mm), height
    blobs: tuple[tuple[tuple[float, float, float], tuple[float, float, float], float], ...] = (
        ((5, -10, 20), (48, 58, 44), 600.0),
        ((25, -35, 35), (16, 22, 14), 400.0),
        ((-20, 15, 5), (12, 14, 20), 350.0),
        ((10, 30, -10), (20, 12, 12), -250.0),
        ((-15, -40, 40), (9, 9, 9), 300.0),
    )

    def intensity(self, points_lps: np.ndarray) -> np.ndarray:
        """Return the value at points (..., 3), LPS mm."""
        total = np.zeros(points_lps.shape[:-1])
        for center, radii, height in self.blobs:
            total += height * np.exp(-2.0 * (((points_lps - center) / radii) ** 2).sum(axis=-1))
        return total

    def labels(self, points_lps: np.ndarray) -> np.ndarray:
        """Return 0 outside, else one of 1 to 5: which blob is nearest."""
        far = [(((points_lps - center) / radii) ** 2).sum(axis=-1) for center, radii, _ in self.blobs]
        return np.where(np.min(far, axis=0) < 1, np.argmin(far, axis=0) + 1, 0).astype(np.int16)

    def volume(self, grid: Grid, fixed_to_this: np.ndarray | None = None, *, labels: bool = False) -> Volume:
        """Scan the head on a grid, float32 (int16 for labels); moved by a (4, 4), LPS mm, where one is given."""
        this_to_fixed = np.eye(4) if fixed_to_this is None else invert(fixed_to_this)
        index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij")[::-1], axis=-1)
        points = apply_affine(this_to_fixed @ grid.index_to_lps, index)
        array = self.labels(points) if labels else self.intensity(points).astype(np.float32)
        return Volume(array, grid, path="phantom")


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    return Phantom()


@pytest.fixture(scope="session")
def grids_by_name() -> dict[str, Grid]:
    return GRIDS


@pytest.fixture(scope="session", params=GRIDS)
def grid(request: pytest.FixtureRequest) -> Grid:
    """Each of the named grids in turn."""
    return GRIDS[request.param]


@pytest.fixture(scope="session")
def sheared_grid() -> Grid:
    """A grid whose voxel axes are not at right angles; ITK refuses it."""
    upright = GRIDS["LPS"].index_to_lps.copy()
    upright[0, 1] = 0.8
    return Grid((40, 44, 42), upright)


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """Find what is shared, beside the repository or in the folder that STNREG_SHARED names; skip where it is not."""
    given = os.environ.get("STNREG_SHARED")
    folder = Path(given) if given else Path(__file__).parents[2] / "shared"

    def find(name: str) -> Path:
        if not (folder / name).exists():
            pytest.skip(f"needs {given or '../shared'}/{name}, which is not here (STNREG_SHARED names another folder)")
        return folder / name

    return find


@pytest.fixture
def network(tmp_path):
    """A network file of our kind whose answer is always one theta, with its sidecar."""
    onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'stnreg[train]'")

    def write(theta=None, name="shift", size=16, **changes):
        theta = np.eye(3, 4, dtype=np.float32) if theta is None else np.asarray(theta, np.float32)
        helper = onnx.helper
        pair = helper.make_tensor_value_info("pair", onnx.TensorProto.FLOAT, [1, 2, size, size, size])
        answer = helper.make_tensor_value_info("theta", onnx.TensorProto.FLOAT, [1, 3, 4])
        constant = onnx.numpy_helper.from_array(theta[None], "constant")
        graph = helper.make_graph(
            [helper.make_node("Identity", ["constant"], ["theta"])], name, [pair], [answer], [constant]
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        content = model.SerializeToString()
        (tmp_path / f"{name}.onnx").write_bytes(content)
        card = {
            "name": name,
            "kind": "pair",
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": size,
            "spacing_mm": 16.0,
            "normalise": "minmax",
            **changes,
        }
        (tmp_path / f"{name}.json").write_text(json.dumps(card))
        return tmp_path / f"{name}.onnx"

    return write


@pytest.fixture(autouse=True)
def _locale_kept():
    """Put the locale back: ITK's writer of DICOM, which tests use, sets it to C."""
    before = locale.setlocale(locale.LC_ALL)
    yield
    locale.setlocale(locale.LC_ALL, before)
