"""Export a checkpoint to the three files of a network: `.onnx`, its sidecar, and `.safetensors`.

The ONNX file is written only if the outputs of onnxruntime and torch agree.
"""

import hashlib
import json
import logging
import subprocess
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stnreg import __version__
from stnreg.core.files import write_atomic
from stnreg.errors import DataError, StnregError
from stnreg.models.card import Weights, find
from stnreg.networks.pair import PairArchitecture, PairNet
from stnreg.training.anatomy.release import anatomy_network
from stnreg.training.checkpoint import best_weights, load_checkpoint, load_into, save_safetensors
from stnreg.training.deformable.release import synthesis_network, velocity_network
from stnreg.training.half import store_in_half
from stnreg.training.related.release import NETWORKS as RELATED
from stnreg.training.related.release import related_network
from stnreg.training.released import Released
from stnreg.training.slices.run import slice_network

BELONGS = {"pair-last": ("pair", "last"), "pair": ("pair", "last"), "synthesis": ("velocity", "synthesis")}
"""Which kind of network one of a kind belongs to, and by which word its sidecar names it."""
TRIALS = 3
BLOB = 6  # values along each axis of a smooth image


def pair_network(config: dict[str, Any]) -> Released:
    """Rebuild a pair network from the config of its checkpoint, without its weights."""
    pair = config["pair"]
    architecture = PairArchitecture.from_dict(pair["model"])
    size = architecture.size
    kind = "pair-last" if architecture.body == "fitted" else "pair"
    card = {"kind": kind, "size": size, "spacing_mm": pair["spacing_mm"], "normalise": pair["normalise"]}
    return Released(PairNet(architecture), "pair", "theta", (1, 2, size, size, size), card)


BUILDERS: dict[str, Callable[[dict[str, Any]], Released]] = {
    "pair": pair_network,
    "anatomy-pose": anatomy_network,
    "anatomy-fine": anatomy_network,
    "velocity": velocity_network,
    **{model: partial(related_network, model) for model in RELATED},
    "slices": slice_network,
    "synthesis": synthesis_network,
}
"""Functions that rebuild a network from its config, by task."""


def export_checkpoint(
    checkpoint: Path, output: Path, *, half: bool = False, after: Path | None = None
) -> dict[str, Any]:
    """Write `output` (.onnx), its sidecar (.json) and its weights (.safetensors).

    Parameters
    ----------
    checkpoint : Path
        `best.ckpt`, `weights.ckpt` or `last.ckpt` of a run.
    output : Path
        `weights/NAME.onnx`.
    half : bool
        Round the weights to half precision and store them so, in half the bytes. They are computed with in float32.
    after : Path, optional
        The network (.onnx) in the same folder that this one belongs to; its sidecar is told. A pair network, whose last
        pass this is, or a velocity network, for a synthesis network.

    Returns
    -------
    card : dict
        The content of the sidecar.

    Raises
    ------
    DataError
        If the checkpoint cannot be used, `output` does not end in `.onnx`, or `after` is no network that it can follow.
    StnregError
        If the outputs of onnxruntime and torch differ; then nothing is written.
    """
    if output.suffix != ".onnx":
        raise DataError(f"{output}: expected a name that ends in .onnx")
    content = load_checkpoint(checkpoint)
    if content["task"] not in BUILDERS:
        raise DataError(f"{checkpoint}: no way to export a {content['task']!r}; there are {', '.join(BUILDERS)}")
    released = BUILDERS[content["task"]](content["config"])
    owner = None if after is None else _owner(after, output, released.card["kind"])
    weights = released.rounding(best_weights(content)) if half else best_weights(content)
    load_into(released.model, weights, str(checkpoint))
    released.model.eval()

    graph = to_onnx(released, half=half)
    difference = largest_difference(graph, released)
    if not difference <= released.tolerance:
        raise StnregError(f"{output}: not written: onnxruntime and torch differ by {difference:.2g} of the output")
    card = {
        "name": output.stem,
        **released.card,
        "sha256": hashlib.sha256(graph).hexdigest(),
        "precision": "half" if half else "single",
        "data": content["config"].get("sources", []),
        "commit": commit(),
        "steps": content["step"],
        "started_from": content["config"].get("started_from"),
        "scores": content.get("scores", {}),
        "stnreg": __version__,
    }
    metadata = {"task": content["task"], "config": content["config"], "step": content["step"]}
    save_safetensors(output.with_suffix(".safetensors"), weights, metadata)
    write_atomic(output, graph)
    _write_sidecar(output, card)
    if owner is not None:
        _write_sidecar(owner.path, {**owner.card, BELONGS[card["kind"]][1]: output.stem})
    return card


def _owner(path: Path, output: Path, kind: str) -> Weights:
    """Find the network that one of a kind belongs to."""
    if kind not in BELONGS:
        raise DataError(f"{output}: a network of the kind {kind!r} belongs to no other; leave out --after")
    wanted, _ = BELONGS[kind]
    owner = find(str(path))
    if owner.kind != wanted or path.resolve().parent != output.resolve().parent:
        raise DataError(f"{path}: expected a {wanted} network in the folder of {output.name}, which belongs to it")
    return owner


def _write_sidecar(network: Path, card: dict[str, Any]) -> None:
    write_atomic(network.with_suffix(".json"), (json.dumps(card, indent=2) + "\n").encode())


def to_onnx(released: Released, *, half: bool = False) -> bytes:
    """Export a network to one ONNX file without external data; `half` stores what float16 holds exactly as float16."""
    example = torch.zeros(released.input_shape)
    # Suppress the exporter's warnings, also those about torchvision, which is not used.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            released.model,
            (example,),
            input_names=[released.input_name],
            output_names=[released.output_name],
            opset_version=released.opset,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None  # it is with dynamo=True
    model = program.model_proto
    _strip_stack_traces(model.graph)
    if half:
        store_in_half(model.graph)
    return model.SerializeToString(deterministic=True)


def _strip_stack_traces(graph: Any) -> None:
    """Remove the stack traces of nodes: they have local paths, so the bytes would vary between machines."""
    for node in graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*graph.value_info, *graph.input, *graph.output, *graph.initializer):
        if hasattr(value, "metadata_props"):
            del value.metadata_props[:]
    del graph.metadata_props[:]


def largest_difference(graph: bytes, released: Released) -> float:
    """Return the largest difference between onnxruntime and torch, relative to the output."""
    import onnxruntime

    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    largest = 0.0
    for _ in range(TRIALS):
        image = _trial(released, generator)
        with torch.no_grad():
            expected = released.model(image).numpy()
        (found,) = session.run([released.output_name], {released.input_name: image.numpy()})
        if found.shape != expected.shape or not np.isfinite(found).all():
            return float("inf")
        largest = max(largest, float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-6)))
    return largest


def _trial(released: Released, generator: torch.Generator) -> torch.Tensor:
    shape = released.input_shape
    if not released.blobs:
        return torch.rand(shape, generator=generator)
    coarse = torch.rand(*shape[:2], *(min(BLOB, n) for n in shape[2:]), generator=generator)
    return torch.nn.functional.interpolate(coarse, size=shape[2:], mode="trilinear")


def commit() -> str | None:
    """Return the commit of this source tree, with `+` if it has changes; None outside a checkout."""
    folder = Path(__file__).parents[2]
    if not (folder / ".git").exists():
        return None
    command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None
