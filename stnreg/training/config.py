"""The settings of a training run: presets and TOML files, as frozen dataclasses kept in every checkpoint."""

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
    """What the loop needs to know, whatever it trains.

    Attributes
    ----------
    epochs, steps_per_epoch : int
        Their product is the number of steps.
    learning_rate : float
        Adam's, at its highest.
    schedule : str
        `cosine` to `final_rate` times the highest; `decay`, times `decay` every `decay_epochs`, as published;
        or `constant`.
    warmup_steps : int
        Steps of linear rise.
    ema : float
        Share of the running mean of the weights kept per step; 0 keeps none.
    clip : float
        Largest norm of the gradient; 0 leaves it as it is.
    precision : str
        `bf16` runs the network under autocast, `f32` does not. Geometry and losses are f32 in both.
    threads : int
        Of the CPU; 0 leaves torch's own choice.
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
    """Known moves that make pairs out of single scans, drawn evenly within +- these.

    `start_deg` widens to `rotation_deg` over the first `curriculum` share of the run; translation and the rest
    widen with it. `pose` is the share of all of it that the fixed image is moved by.
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
    """What the network is shown, but never the loss: contrast, bias field, noise, a cropped field of view.

    `crop` is the most that one side of the cube loses; `window` the most that each axis loses, evenly from both its
    sides, as a scanner's box does in which a head lies turned.
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
    """Weights of the terms. The mean squared error alone is the method; the others are its supervised relatives.

    Attributes
    ----------
    mse : float
        Of the intensities on the fixed grid: unsupervised.
    grid_point : float
        Mean distance of a lattice from where the known map puts it, half-edges of the cube.
    parameters : float
        Mean squared error of the twelve known parameters, as regression networks are trained.
    inverse_consistency : float
        Mean distance from the start after there and back, half-edges of the cube; needs no known map.
    """

    mse: float = 1.0
    grid_point: float = 0.0
    parameters: float = 0.0
    inverse_consistency: float = 0.0


@dataclass(frozen=True)
class PairConfig:
    """What the task of registering pairs needs to know.

    Attributes
    ----------
    model : PairArchitecture
    spacing_mm : float
        Of the isotropic cubes that the network sees.
    normalise : str
        Rule of `preprocess` for intensities.
    oversampling : int
        Scans are kept at this many times the resolution of the network, so that a random move costs no blur.
    batch : int
        Pairs a step.
    both_ways : bool
        Half of them are the other half with their images exchanged, which halves the work of moving scans.
    same_share : float
        Share of the pairs that are one scan and itself, moved; the others are of two people.
    cascade : int
        Steps take turns to train the first to this pass of a cascade: on what earlier passes left. 1 is as published.
    validation_pairs : int
        How many pairs of each kind the validation score is a mean over.
    """

    model: PairArchitecture = field(default_factory=PairArchitecture)
    spacing_mm: float = 4.0
    normalise: str = "minmax"
    oversampling: int = 2
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
        What its line `preset = "NAME"` says to start from.
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
    """Return `base` with the values of a TOML file in it; a setting that does not exist is a `DataError`."""
    try:
        return merge(base, values)
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: {error}") from error


def merge(base: Settings, values: dict[str, Any]) -> Settings:
    """Return the dataclass `base` with nested `values` in place of its own; unknown names are a `ValueError`."""
    hints = typing.get_type_hints(type(base))
    known = {item.name: hints[item.name] for item in fields(base)}  # type: ignore[arg-type]
    unknown = set(values) - set(known)
    if unknown:
        raise ValueError(f"unknown setting {', '.join(sorted(unknown))}; {type(base).__name__} has {', '.join(known)}")
    return replace(base, **{name: _fit(getattr(base, name), known[name], value) for name, value in values.items()})  # type: ignore[type-var]


def _fit(old: Any, kind: Any, value: Any) -> Any:
    """Turn what TOML or JSON gave into what the field holds, or raise a `ValueError`."""
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
    """Return a config as plain numbers, strings, lists and dicts, for checkpoints and JSON."""
    return {name: _plain(value) for name, value in asdict(config).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return list(value) if isinstance(value, tuple) else value
