"""From `weights.ckpt` to one ONNX file that onnxruntime runs as torch does.

Run it as `python -m stnreg.training.deformable.export WEIGHTS.ckpt NETWORK.onnx`.
"""

import argparse
import hashlib
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stnreg.core.files import write_atomic
from stnreg.errors import StnregError
from stnreg.networks.velocity import VelocityNet
from stnreg.training.checkpoint import load_checkpoint, load_into, save_safetensors
from stnreg.training.deformable.task import network_of

OPSET = 20  # the first with GridSample in three dimensions
TOLERANCE = 2e-3  # of the output's own size: a chain of resamplings, each rounded a little


def to_onnx(network: VelocityNet) -> bytes:
    """Trace a network: `pair` (1, 2, D, H, W) in, `velocity` (1, 3, D/2, H/2, W/2) out, mm."""
    example = torch.zeros(1, 2, *network.shape.shape)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network.eval(),
            (example,),
            input_names=["pair"],
            output_names=["velocity"],
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None  # it is with dynamo=True
    model = program.model_proto
    for node in model.graph.node:  # paths of the exporting machine, and other bytes elsewhere
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        if hasattr(value, "metadata_props"):
            del value.metadata_props[:]
    del model.graph.metadata_props[:]
    return model.SerializeToString(deterministic=True)


def largest_difference(graph: bytes, network: VelocityNet) -> float:
    """Return the largest difference between onnxruntime and torch on blobs, relative to the output's own size."""
    import onnxruntime

    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    largest = 0.0
    for _ in range(2):
        coarse = torch.rand(1, 2, 6, 6, 6, generator=generator)
        pair = torch.nn.functional.interpolate(coarse, size=network.shape.shape, mode="trilinear")
        with torch.no_grad():
            expected = network(pair).numpy()
        (found,) = session.run(["velocity"], {"pair": pair.numpy()})
        if found.shape != expected.shape or not np.isfinite(found).all():
            return float("inf")
        largest = max(largest, float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-6)))
    return largest


def export(checkpoint: Path, output: Path) -> dict[str, Any]:
    """Write `output` (.onnx), its sidecar (.json) and its weights (.safetensors); returns what the sidecar holds.

    Raises
    ------
    StnregError
        If onnxruntime's numbers differ from torch's: nothing is written then.
    """
    content = load_checkpoint(checkpoint)
    network = network_of(content["config"])
    load_into(network, content["model"], str(checkpoint))
    network.eval()
    graph = to_onnx(network)
    difference = largest_difference(graph, network)
    if not difference <= TOLERANCE:
        raise StnregError(f"{output}: not written: onnxruntime and torch differ by {difference:.2g} of the output")
    shape = network.shape
    card = {
        "name": output.stem,
        "kind": "velocity",
        "size": shape.shape[0],
        "shape": list(shape.shape),
        "spacing_mm": shape.spacing_mm,
        "lattice_voxels": 2,
        "normalise": "brain percentiles 1 and 99, clipped to -0.5 and 1.5, 0 beyond 4 voxels from the brain",
        "sha256": hashlib.sha256(graph).hexdigest(),
        "steps": content["step"],
        "scores": content["scores"],
    }
    metadata = {"task": content["task"], "config": content["config"], "step": content["step"]}
    save_safetensors(output.with_suffix(".safetensors"), content["model"], metadata)
    write_atomic(output, graph)
    write_atomic(output.with_suffix(".json"), (json.dumps(card, indent=2) + "\n").encode())
    return card


def main() -> None:
    """Export from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    print(json.dumps(export(options.checkpoint, options.output), indent=2))


if __name__ == "__main__":
    main()
