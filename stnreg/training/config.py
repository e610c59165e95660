"""The settings of a training run: presets and TOML files, as frozen dataclasses stored in every checkpoint."""

import tomllib
import types
import typing
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from stnreg.errors import DataError
from stnreg.networks.pair import PairArchitecture

Settings = typing.TypeVar("Settings")


@dataclass(frozen=True)
class LoopConfig:
    """Settings of the training loop.

    Attributes
    ----------
    epochs, steps_per_epoch : int
        Their product is the number of steps.
    learning_rate : float
        Peak learning rate of Adam.
    schedule : str
        `cosine`: to `final_rate` times the peak; `decay`: times `decay` every `decay_epochs`, as published; or
        `constant`.
    warmup_steps : int
        Steps of linear warm-up.
    ema : float
        Decay of the exponential moving average of the weights; 0 for none.
    clip : float
        Maximum norm of the gradient; 0 for no clipping.
    precision : str
        `bf16`: the network runs under autocast; `f32`: it does not. Geometry and losses are f32 in both.
    threads : int
        CPU threads; 0 for torch's default.
    """

    seed: int = 0
    epochs: int = 10
    steps_per_epoch: int = 1000
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    final_rate: float = 0.01
    decay: float = 0.9
    decay_epochs: int = 40
    warmup_steps: int = 200
    ema: float = 0.999
    clip: float = 1.0
    precision: str = "bf16"
    device: str = "auto"
    threads: int = 0
    log_every: int = 50
    validate_every: int = 500
    checkpoint_every: int = 250

    @property
    def steps(self) -> int:
        """Number of optimiser steps of the whole run."""
        return self.epochs * self.steps_per_epoch


@dataclass(frozen=True)
class MovesConfig:
    """Ranges, plus or minus, of the random transforms that make pairs from single scans; uniform.

    The range of rotation grows from `start_deg` to `rotation_deg` over the fraction `curriculum` of the run; the others
    grow with it. `pose` is the fraction of the ranges that is applied to the fixed image.
    """

    start_deg: float = 10.0
    rotation_deg: float = 45.0
    translation_mm: float = 30.0
    scale: float = 0.15
    shear: float = 0.08
    pose: float = 0.25
    curriculum: float = 0.5


STILL = MovesConfig(start_deg=0.0, rotation_deg=0.0, translation_mm=0.0, scale=0.0, shear=0.0)


@dataclass(frozen=True)
class AugmentConfig:
    """Augmentation of the network's input, not of the loss: contrast, bias field, noise, field of view.

    `crop` is the maximum that is removed at one side of the cube; `window` the maximum per axis that is removed at both
    sides equally, as for a rotated head in the field of view of a scanner.
    """

    gamma: float = 0.3
    gain: float = 0.2
    bias: float = 0.3
    noise: float = 0.03
    crop: float = 0.25
    crop_probability: float = 0.25
    window: float = 0.4
    window_probability: float = 0.75


UNTOUCHED = AugmentConfig(gamma=0.0, gain=0.0, bias=0.0, noise=0.0, crop_probability=0.0, window_probability=0.0)


@dataclass(frozen=True)
class LossConfig:
    """Weights of the terms of the loss. The published method has the mean squared error only.

    Attributes
    ----------
    mse : float
        Mean squared error of the intensities on the fixed grid: unsupervised.
    grid_point : float
        Mean distance of lattice points under the estimated and the true transform, half-edges of the cube.
    parameters : float
        Mean squared error of the twelve true parameters, as in supervised regression networks.
    inverse_consistency : float
        Mean inverse consistency error, half-edges of the cube; unsupervised.
    """

    mse: float = 1.0
    grid_point: float = 0.0
    parameters: float = 0.0
    inverse_consistency: float = 0.0


@dataclass(frozen=True)
class PairConfig:
    """Settings of the pair task.

    Attributes
    ----------
    model : PairArchitecture
    spacing_mm : float
        Spacing of the isotropic input cubes.
    normalise : str
        Rule of intensity normalisation, as named by `preprocess`.
    oversampling : int
        Scans are stored at this multiple of the network's resolution, so that random transforms do not blur them.
    margin : float
        By how much scans are stored beyond the network's cube, as a share of its edge, so that a move brings in what
        lies outside of it, as it does when a scan is registered.
    centre : str
        Centre of the cube: that of the `grid` of a scan, or of its `foreground`.
    batch : int
        Pairs per step.
    both_ways : bool
        Half of the pairs are the other half with the images exchanged, which halves the cost of resampling.
    same_share : float
        Fraction of pairs of one scan with itself, transformed; the others are of two people.
    cascade : int
        Number of passes of the cascade. Steps train one pass each, in turn, on the output of the earlier ones. 1 as
        published.
    validation_pairs : int
        Number of validation pairs of each kind.
    """

    model: PairArchitecture = field(default_factory=PairArchitecture)
    spacing_mm: float = 4.0
    normalise: str = "minmax"
    oversampling: int = 2
    margin: float = 0.0
    centre: str = "grid"
    batch: int = 4
    both_ways: bool = True
    same_share: float = 0.4
    cascade: int = 1
    validation_pairs: int = 12
    moves: MovesConfig = field(default_factory=MovesConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loss: LossConfig = field(default_factory=LossConfig)


@dataclass(frozen=True)
class TrainConfig:
    """A whole run: the loop and the task."""

    loop: LoopConfig = field(default_factory=LoopConfig)
    pair: PairConfig = field(default_factory=PairConfig)


def read_toml(path: Path) -> tuple[str | None, dict[str, Any]]:
    """Read a TOML file of settings.

    Returns
    -------
    preset : str or None
        The preset of its line `preset = "NAME"`.
    values : dict
        Tables `loop`, `pair`, `pair.model`, `pair.moves`, ..., for `lay_over`.

    Raises
    ------
    DataError
        If the file is missing or is not TOML.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); name a TOML file") from error
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{path}: not TOML ({error})") from error
    name = values.pop("preset", None)
    if not isinstance(name, str | None):
        raise DataError(f'{path}: expected preset = "NAME", got {name!r}')
    return name, values


def lay_over(base: Settings, values: dict[str, Any], path: Path) -> Settings:
    """Return `base` updated by the values of a TOML file; DataError on an unknown setting."""
    try:
        return merge(base, values)
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: {error}") from error


def merge(base: Settings, values: dict[str, Any]) -> Settings:
    """Return the dataclass `base` updated by nested `values`; ValueError on unknown names."""
    hints = typing.get_type_hints(type(base))
    known = {item.name: hints[item.name] for item in fields(base)}  # type: ignore[arg-type]
    unknown = set(values) - set(known)
    if unknown:
        raise ValueError(f"unknown setting {', '.join(sorted(unknown))}; {type(base).__name__} has {', '.join(known)}")
    return replace(base, **{name: _fit(getattr(base, name), known[name], value) for name, value in values.items()})  # type: ignore[type-var]


def _fit(old: Any, kind: Any, value: Any) -> Any:
    """Convert a value from TOML or JSON to the type of its field, or raise ValueError."""
    if is_dataclass(old):
        return merge(old, value)
    if isinstance(kind, types.GenericAlias):  # tuple[...]
        return tuple(value)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ValueError(f"expected {kind.__name__}, got {value!r}")
    return value


def to_dict(config: Any) -> dict[str, Any]:
    """Return a config as numbers, strings, lists and dicts, for checkpoints and JSON."""
    return {name: _plain(value) for name, value in asdict(config).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return list(value) if isinstance(value, tuple) else value
