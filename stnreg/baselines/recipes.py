"""The methods by name, with their settings as data.

Imports no engine, so that the help of the command line is fast.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """One method.

    Attributes
    ----------
    engine : str
        The module of `stnreg.baselines` that runs it.
    dof : int
        Degrees of freedom of the transform: 6 or 12.
    summary : str
        Description in one line.
    settings : mapping
        What the engine is told; the keys are the engine's business.
    affine : str
        Of a method that deforms: the one whose affine it starts from where none is given. Empty for a linear one.
    """

    engine: str
    dof: int
    summary: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    affine: str = ""

    @property
    def deforms(self) -> bool:
        """Whether it finds a warp after the affine."""
        return bool(self.affine)

    def with_settings(self, **changed: Any) -> "Recipe":
        """Return the same recipe with other settings."""
        return replace(self, settings=MappingProxyType(dict(self.settings) | changed))


@dataclass(frozen=True)
class Level:
    """One pyramid level: voxel size (at least the image's), smoothing, and the fraction of voxels in the metric."""

    spacing_mm: float
    sigma_mm: float
    samples: int


COARSE, MIDDLE, FINE = Level(8, 4, 100_000), Level(4, 2, 100_000), Level(1, 0, 300_000)

SIMPLEITK: dict[str, Any] = {
    "metric": "mi",  # mi (Mattes), mse or correlation
    "bins": 50,  # of mi
    "seed": 20,  # of the sampled voxels
    "learning_rate_mm": 2.0,  # displacement of voxels by the first step,
    "relaxation": 0.8,  # multiplied by this when the gradient changes direction; 0.5 stops too early in narrow valleys
    "least_step_mm": 0.01,
    "steps": 200,  # at most, per level
    "stages": {"rigid": (COARSE, MIDDLE)},
}

SPLINE: dict[str, Any] = {
    "knots_mm": (48.0, 24.0, 12.0),  # of each level; ITK's Mattes MI holds bins x bins numbers for each parameter
    "bins": 32,
    "levels": (Level(8, 4, 50_000), Level(4, 2, 50_000), Level(2, 1, 100_000)),
    "iterations": 15,  # of L-BFGS, at most, per level; each takes seconds at the last
}

GREEDY_DEFORM: dict[str, Any] = {"metric": ("WNCC", "2x2x2"), "iterations": "100x50x10", "mode": ()}

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "sitk-affine": Recipe(
            "simpleitk",
            12,
            "SimpleITK: the better of two centre starts, rigid then affine, three levels",
            SIMPLEITK | {"stages": {"rigid": (COARSE, MIDDLE), "affine": (COARSE, MIDDLE, FINE)}},
        ),
        "sitk-rigid": Recipe(
            "simpleitk",
            6,
            "SimpleITK: the better of two centre starts, rigid, three levels",
            SIMPLEITK | {"stages": {"rigid": (COARSE, MIDDLE, FINE)}},
        ),
        "ants": Recipe("ants", 12, "ANTs' Affine: Mattes MI, long schedule", {"type_of_transform": "Affine"}),
        "ants-fast": Recipe("ants", 12, "ANTs' AffineFast: half resolution", {"type_of_transform": "AffineFast"}),
        "ants-quick": Recipe(
            "ants", 12, "ANTs' SyNQuick without its SyN", {"type_of_transform": "antsRegistrationSyNQuick[a]"}
        ),
        "ants-rigid": Recipe("ants", 6, "ANTs' Rigid", {"type_of_transform": "Rigid"}),
        "greedy": Recipe(
            "greedy",
            12,
            "Greedy as its manual advises: image centres, NMI, coarse to fine",
            {"metric": ("NMI",), "iterations": "100x50x20", "start": "-ia-image-centers"},
        ),
        "greedy-rigid": Recipe(
            "greedy",
            6,
            "Greedy, rigid: image centres, NMI, coarse to fine",
            {"metric": ("NMI",), "iterations": "100x50x20", "start": "-ia-image-centers"},
        ),
        "elastix": Recipe(
            "elastix", 12, "elastix' own settings, rigid then affine", {"parameter_maps": ("rigid", "affine")}
        ),
        "elastix-rigid": Recipe("elastix", 6, "elastix' own settings, rigid", {"parameter_maps": ("rigid",)}),
        "flirt": Recipe(
            "flirt", 12, "FSL's FLIRT: correlation ratio, its search of +-90 degrees", {"cost": "corratio"}
        ),
        "flirt-rigid": Recipe(
            "flirt", 6, "FSL's FLIRT, rigid: correlation ratio, its search of +-90 degrees", {"cost": "corratio"}
        ),
        "niftyreg": Recipe("niftyreg", 12, "NiftyReg's reg_aladin: block matching, rigid then affine"),
        "niftyreg-rigid": Recipe("niftyreg", 6, "NiftyReg's reg_aladin -rigOnly: block matching"),
        "niimath": Recipe(
            "niimath",
            12,
            "niimath -allineate, after AFNI's 3dAllineate: its fast cost",
            {"options": ("-cost", "fast")},
        ),
        "niimath-rigid": Recipe(
            "niimath",
            6,
            "niimath -allineate, rigid: Hellinger distance",
            {"options": ("-cost", "hel", "-warp", "shr")},
        ),
        "greedy-deform": Recipe(
            "greedy", 12, "Greedy, deformable: local correlation, three levels", GREEDY_DEFORM, affine="greedy"
        ),
        "greedy-deform-long": Recipe(
            "greedy",
            12,
            "Greedy, deformable: local correlation, three levels, more steps and less smoothing",
            GREEDY_DEFORM | {"iterations": "100x100x50", "mode": ("-s", "1.5vox", "0.5vox")},
            affine="greedy",
        ),
        "greedy-deform-sv": Recipe(
            "greedy",
            12,
            "Greedy, deformable, stationary velocity: local correlation, three levels",
            GREEDY_DEFORM | {"mode": ("-sv",)},
            affine="greedy",
        ),
        "ants-syn": Recipe("ants", 12, "ANTs' SyN: Mattes MI", {"type_of_transform": "SyNOnly"}, affine="ants"),
        "ants-synquick": Recipe(
            "ants",
            12,
            "ANTs' SyNQuick: Mattes MI, half resolution at the end",
            {"type_of_transform": "antsRegistrationSyNQuick[so]"},
            affine="ants-quick",
        ),
        "elastix-bspline": Recipe(
            "elastix",
            12,
            "elastix' own settings, B-spline after rigid and affine",
            {"parameter_maps": ("bspline",)},
            affine="elastix",
        ),
        "sitk-bspline": Recipe(
            "simpleitk",
            12,
            "SimpleITK: B-spline, three levels, L-BFGS",
            SIMPLEITK | {"spline": SPLINE},
            affine="sitk-affine",
        ),
    }
)

SIMPLEITK_METRICS = ("mi", "mse", "correlation")

HOW_TO_GET = {
    "simpleitk": "pip install SimpleITK",
    "ants": "pip install antspyx",
    "greedy": "pip install picsl_greedy, or put the program `greedy` on the PATH (https://greedy.readthedocs.io)",
    "elastix": "pip install itk-elastix",
    "flirt": "install FSL (https://fsl.fmrib.ox.ac.uk/fsl/docs/#/install) and set FSLDIR, or put `flirt` on the PATH",
    "niimath": "pip install niimath, or put the program `niimath` on the PATH (https://github.com/rordenlab/niimath)",
    "niftyreg": "build NiftyReg (https://github.com/KCL-BMEIS/niftyreg) and put `reg_aladin` on the PATH",
}
