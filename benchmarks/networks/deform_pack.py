"""Make the pack that a velocity network is trained on: `python -m benchmarks.networks.deform_pack PACK.npz`."""

import argparse
from pathlib import Path

import numpy as np

from benchmarks.common.heads import shared_folder
from stnreg.geometry.grid import Grid
from stnreg.models.card import find
from stnreg.registration.anatomy.encode import encode
from stnreg.registration.anatomy.load import load
from stnreg.registration.deformable.frame import frame_to_head
from stnreg.training.checkpoint import load_weights
from stnreg.training.deformable.pack import make_pack


def main() -> None:
    """Make a pack from the shared training data."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--scans", type=int, help="pack the last ones by name only")
    options = parser.parse_args()
    model = load(find("anatomy"), threads=1, device="cpu").model

    def frame_of(array: np.ndarray, grid: Grid) -> np.ndarray:
        return frame_to_head(encode(array, grid, model), model.fine)

    weights, _ = load_weights(find("anatomy").path.with_suffix(".safetensors"))
    encoder = {name: tensor.numpy() for name, tensor in weights.items()}
    about = make_pack(shared_folder() / "data", options.output, frame_of, encoder, scans=options.scans)
    size = options.output.stat().st_size / 2**20
    print(f"{len(about['scans'])} scans, {len(about['anatomies'])} label maps, {size:.1f} MiB")


if __name__ == "__main__":
    main()
