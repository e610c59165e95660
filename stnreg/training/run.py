"""From what a command line says to a trained pair network: settings, packed scans, the loop."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from stnreg.errors import DataError, UsageProblem
from stnreg.model.localisation import PairArchitecture
from stnreg.model.parameters import carry_raw
from stnreg.training.checkpoint import load_checkpoint, load_weights
from stnreg.training.config import STILL, PairConfig, TrainConfig, load_toml, merge, preset, to_dict
from stnreg.training.data import Scans, load_scans, pack_scans, save_scans, scans_of_folders, scans_of_table
from stnreg.training.loop import train
from stnreg.training.pair import PairTask


@dataclass(frozen=True)
class PairRun:
    """What was asked for; None and empty leave the choice to the preset, the config or the checkpoint.

    Attributes
    ----------
    folder : Path
        Of the run.
    head : str, optional
        `affine` or `separate`; that of the weights to start from, or `affine`, when left out.
    preset : str
    config : Path, optional
        TOML laid over the preset.
    pairs : Path, optional
        PAIRS.csv to train on.
    scans : sequence of Path
        Folders of single scans to make pairs of, instead.
    validation : int, optional
        How many of the first folder's scans, the last by name, are for validation; a tenth when left out.
    terms : sequence of str
        `NAME: TERMS` of each folder's data, for the card of the weights.
    cache : Path, optional
        Packed scans; in the run's folder when left out.
    resume : bool
    start : Path, optional
        Weights to start from.
    epochs, threads : int, optional
    device : str, optional
    """

    folder: Path
    head: str | None = None
    preset: str = "default"
    config: Path | None = None
    pairs: Path | None = None
    scans: Sequence[Path] = ()
    validation: int | None = None
    terms: Sequence[str] = ()
    cache: Path | None = None
    resume: bool = False
    start: Path | None = None
    epochs: int | None = None
    threads: int | None = None
    device: str | None = None


def train_pair(wanted: PairRun) -> Path:
    """Train a pair network and return its best checkpoint.

    Raises
    ------
    UsageProblem
        If settings contradict each other, or there is nothing to train on.
    DataError
        If a file cannot be used.
    """
    if wanted.resume and wanted.start:
        raise UsageProblem("--resume goes on with a run, --from starts a new one: give one of them")
    config = choose_config(wanted)
    scans = prepare_scans(wanted, config.pair)
    task = PairTask(config.pair, scans, seed=config.loop.seed, steps=config.loop.steps)
    settings = {"pair": to_dict(config.pair), "sources": list(scans.sources)}
    start = None
    if wanted.start is not None:
        start = start_weights(wanted.start, config.pair.model)
        settings["started_from"] = wanted.start.name
    return train(task, config.loop, wanted.folder, settings=settings, resume=wanted.resume, start=start)


def start_weights(path: Path, model: PairArchitecture) -> dict[str, Tensor]:
    """Read weights to start from; those of the other head are carried over to first order."""
    weights, made_by = load_weights(path)
    old = _restore(made_by["config"], path).pair.model
    if old.head != model.head:
        carry = carry_raw((old.head, old.bounds, old.order), (model.head, model.bounds, model.order))
        weights = {**weights, **{name: carry @ weights[name] for name in ("head.weight", "head.bias")}}
    return weights


def choose_config(wanted: PairRun) -> TrainConfig:
    """Put the settings together: checkpoint or preset, then weights to start from, TOML, command line."""
    if wanted.resume:
        path = wanted.folder / "last.ckpt"
        config = _restore(load_checkpoint(path)["config"], path)
    else:
        config = preset(wanted.preset, wanted.head or "affine")
        if wanted.preset == "paper" and wanted.pairs is not None:
            # The published runs show the network its pairs as they are.
            config = replace(config, pair=replace(config.pair, moves=STILL, same_share=0.0))
        if wanted.start is not None:
            _, made_by = load_weights(wanted.start)
            # Weights bring their own architecture, which the preset cannot know.
            pair = _restore(made_by["config"], wanted.start).pair
            model = replace(pair.model, head=wanted.head or pair.model.head)
            config = replace(config, pair=replace(config.pair, model=model, spacing_mm=pair.spacing_mm))
        if wanted.config is not None:
            config = load_toml(wanted.config, config)
    given = {"epochs": wanted.epochs, "device": wanted.device, "threads": wanted.threads}
    return merge(config, {"loop": {name: value for name, value in given.items() if value is not None}})


def _restore(stored: dict[str, Any], path: Path) -> TrainConfig:
    """Rebuild the settings kept in a checkpoint."""
    try:
        return merge(TrainConfig(), {"loop": stored["loop"], "pair": stored["pair"]})
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path}: its settings are not those of a pair network ({error})") from error


def prepare_scans(wanted: PairRun, config: PairConfig) -> Scans:
    """Load the packed scans, or pack what was named once and for all."""
    cache = wanted.cache or wanted.folder / "scans.npz"
    if cache.exists():
        scans = load_scans(cache)
        extent_mm = config.model.size * config.spacing_mm
        if abs(scans.extent_mm - extent_mm) > 1e-6 * extent_mm:
            raise DataError(
                f"{cache}: its cubes are {scans.extent_mm:g} mm wide, the network's {extent_mm:g} mm; "
                "name another --cache"
            )
        return scans
    pairs: list[tuple[int, int]] = []
    if wanted.pairs is not None:
        paths, splits, pairs = scans_of_table(wanted.pairs)
    elif wanted.scans:
        paths, splits = scans_of_folders(wanted.scans, wanted.validation)
    else:
        raise UsageProblem("nothing to train on: give a PAIRS.csv, or folders of scans with --scans")
    scans = pack_scans(
        paths,
        splits,
        size=config.model.size * config.oversampling,
        spacing_mm=config.spacing_mm / config.oversampling,
        normalise=config.normalise,
        pairs=pairs,
        sources=[_source(text) for text in wanted.terms],
    )
    save_scans(cache, scans)
    return scans


def _source(text: str) -> dict[str, str]:
    name, _, terms = text.partition(":")
    if not terms:
        raise UsageProblem(f"--terms {text!r}: expected 'NAME: TERMS', such as 'IXI: CC BY-SA 3.0'")
    return {"name": name.strip(), "terms": terms.strip()}
