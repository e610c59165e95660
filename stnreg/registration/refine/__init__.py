"""Refinement: symmetric Gauss-Newton on intensities inside the brain, in numpy."""

from stnreg.registration.refine.refined import Refined
from stnreg.registration.refine.refinement import refine_affine

__all__ = ["Refined", "refine_affine"]
