"""Refinement: symmetric Gauss-Newton on intensities inside the brain, in numpy."""

from stnreg.registration.refine.refinement import Refined, refine_affine

__all__ = ["Refined", "refine_affine"]
