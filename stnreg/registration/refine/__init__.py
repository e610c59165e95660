"""The last millimetre: a numpy Gauss-Newton that starts where the network ends."""

from stnreg.registration.refine.refinement import Refined, refine_affine

__all__ = ["Refined", "refine_affine"]
