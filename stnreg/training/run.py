"""Train a pair network from command-line options: settings, packed scans, the loop."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from stnreg.errors import DataError, UsageProblem
from stnreg.networks.pair import PairArchitecture
from stnreg.networks.parameters import carry_raw
from stnreg.training.checkpoint import load_checkpoint, load_weights
from stnreg.training.config import STILL, PairConfig, TrainConfig, lay_over, merge, read_toml, to_dict
from stnreg.training.data import Scans, load_scans, pack_scans, save_scans
from stnreg.training.listing import scans_of_folders, scans_of_table
from stnreg.training.loop import train
from stnreg.training.pair import PairTask
from stnreg.training.presets import is_paper, preset
from stnreg.training.processes import joined


@dataclass(frozen=True)
class PairRun:
    """Options of a run. None or empty: from the preset, the config or the checkpoint.

    Attributes
    ----------
    folder : Path
        Folder of the run.
    head : str, optional
        `affine` or `separate`; by default that of the initial weights, or `affine`.
    preset : str, optional
        By default the one that the TOML names, or `default`.
    config : Path, optional
        TOML file that overrides the preset.
    pairs : Path, optional
        PAIRS.csv to train on.
    scans : sequence of Path
        Folders of single scans, to train on random pairs of them instead.
    validation : int, optional
        Number of scans of the first folder, the last by name, for validation; a tenth by default.
    terms : sequence of str
        `NAME: TERMS` of the data in each folder, for the sidecar of the weights.
    cache : Path, optional
        Packed scans; in the run's folder by default.
    resume : bool
    start : Path, optional
        Initial weights.
    transforms : sequence of str
        Transformations of the `separate` head, first-applied first.
    skip_bad : bool
        Skip files that cannot be used.
    epochs, threads : int, optional
    device : str, optional
    """

    folder: Path
    head: str | None = None
    preset: str | None = None
    config: Path | None = None
    pairs: Path | None = None
    scans: Sequence[Path] = ()
    validation: int | None = None
    terms: Sequence[str] = ()
    cache: Path | None = None
    resume: bool = False
    start: Path | None = None
    transforms: Sequence[str] = ()
    skip_bad: bool = False
    epochs: int | None = None
    threads: int | None = None
    device: str | None = None


@dataclass(frozen=True)
class Trained:
    """The result of a run.

    Attributes
    ----------
    best : Path
        The best checkpoint.
    skipped : tuple of str
        Skipped files, with reasons.
    is_first : bool
        Whether this is the process that writes messages.
    """

    best: Path
    skipped: tuple[str, ...]
    is_first: bool


def train_pair(wanted: PairRun) -> Trained:
    """Train a pair network; under torchrun, together with its other processes.

    Raises
    ------
    UsageProblem
        If settings contradict each other, or there is no training data.
    DataError
        If a file cannot be used.
    """
    if wanted.resume and wanted.start:
        raise UsageProblem("a run is resumed, or started from weights: give one of them")
    config = choose_config(wanted)
    with joined(config.loop.device) as processes:
        if processes.is_first:
            prepare_scans(wanted, config.pair)
        processes.wait()
        scans = prepare_scans(wanted, config.pair)
        task = PairTask(config.pair, scans, seed=config.loop.seed, steps=config.loop.steps, processes=processes)
        settings = {"pair": to_dict(config.pair), "sources": list(scans.sources), "skipped": list(scans.skipped)}
        start = None
        if wanted.start is not None:
            start = start_weights(wanted.start, config.pair.model)
            settings["started_from"] = wanted.start.name
        best = train(
            task, config.loop, wanted.folder,
            settings=settings, resume=wanted.resume, start=start, processes=processes,
        )  # fmt: skip
    return Trained(best, scans.skipped, processes.is_first)


def start_weights(path: Path, model: PairArchitecture) -> dict[str, Tensor]:
    """Read initial weights; those of the other head are converted, to first order.

    A fitted body has none to convert: least squares in the parameters of either head give the same step.
    """
    weights, made_by = load_weights(path)
    old = _restore(made_by["config"], path).pair.model
    if old.head != model.head and old.body != "fitted":
        carry = carry_raw((old.head, old.bounds, old.order), (model.head, model.bounds, model.order))
        weights = {**weights, **{name: carry @ weights[name] for name in ("head.weight", "head.bias")}}
    return weights


def choose_config(wanted: PairRun) -> TrainConfig:
    """Combine the settings: checkpoint or preset, then initial weights, TOML, command line."""
    if wanted.resume:
        path = wanted.folder / "last.ckpt"
        config = _restore(load_checkpoint(path)["config"], path)
    else:
        config = _fresh_config(wanted)
    given = {"epochs": wanted.epochs, "device": wanted.device, "threads": wanted.threads}
    config = merge(config, {"loop": {name: value for name, value in given.items() if value is not None}})
    return _with_transforms(config, wanted.transforms) if wanted.transforms else config


def _fresh_config(wanted: PairRun) -> TrainConfig:
    """Return the settings of a new run, before command-line options."""
    named, values = read_toml(wanted.config) if wanted.config else (None, {})
    name = wanted.preset or named or "default"
    config = preset(name, wanted.head)
    if is_paper(name) and wanted.pairs is not None:
        # The published method has no augmentation.
        config = replace(config, pair=replace(config.pair, moves=STILL, same_share=0.0))
    if wanted.start is not None:
        _, made_by = load_weights(wanted.start)
        # The initial weights determine the architecture.
        pair = _restore(made_by["config"], wanted.start).pair
        model = replace(pair.model, head=wanted.head or pair.model.head)
        config = replace(config, pair=replace(config.pair, model=model, spacing_mm=pair.spacing_mm))
    return lay_over(config, values, wanted.config) if wanted.config else config


def _with_transforms(config: TrainConfig, transforms: Sequence[str]) -> TrainConfig:
    """Set the transformations of the `separate` head, first-applied first."""
    model = config.pair.model
    if model.head != "separate":
        raise UsageProblem(f"transforms are chosen for the network `separate`; {model.head} estimates a whole matrix")
    try:
        model = replace(model, order=tuple(transforms))
    except ValueError as error:
        raise UsageProblem(f"transforms {','.join(transforms)}: {error}") from error
    return replace(config, pair=replace(config.pair, model=model))


def _restore(stored: dict[str, Any], path: Path) -> TrainConfig:
    """Restore the settings of a checkpoint."""
    try:
        return merge(TrainConfig(), {"loop": stored["loop"], "pair": stored["pair"]})
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path}: its settings are not those of a pair network ({error})") from error


def prepare_scans(wanted: PairRun, config: PairConfig) -> Scans:
    """Load the packed scans, or pack them."""
    cache = cache_path(wanted)
    if cache.exists():
        scans = load_scans(cache)
        extent_mm = config.model.size * config.spacing_mm * (1 + config.margin)
        is_wide = scans.extent_mm > extent_mm and config.margin > 0
        if abs(scans.extent_mm - extent_mm) > 1e-6 * extent_mm and not is_wide:
            raise DataError(
                f"{cache}: its cubes are {scans.extent_mm:g} mm wide, the network's {extent_mm:g} mm; use another cache"
            )
        return scans
    if wanted.pairs is not None:
        listed = scans_of_table(wanted.pairs)
    elif wanted.scans:
        listed = scans_of_folders(wanted.scans, wanted.validation)
    else:
        raise UsageProblem("nothing to train on: give a table of pairs (PAIRS.csv) or folders of scans")
    scans = pack_scans(
        listed,
        size=round(config.model.size * config.oversampling * (1 + config.margin)),
        spacing_mm=config.spacing_mm / config.oversampling,
        normalise=config.normalise,
        centre=config.centre,
        sources=[_source(text) for text in wanted.terms],
        skip_bad=wanted.skip_bad,
    )
    save_scans(cache, scans)
    return scans


def cache_path(wanted: PairRun) -> Path:
    """Return the path of the packed scans of a run."""
    return wanted.cache or wanted.folder / "scans.npz"


def _source(text: str) -> dict[str, str]:
    name, _, terms = text.partition(":")
    if not terms:
        raise UsageProblem(f"terms {text!r}: expected 'NAME: TERMS', such as 'IXI: CC BY-SA 3.0'")
    return {"name": name.strip(), "terms": terms.strip()}
