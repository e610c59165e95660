"""Whether two images may show one head where a transform puts them: their local correlation at the coarsest level."""

from stnreg.geometry.affine import nearest_dof
from stnreg.geometry.matrix import Matrix
from stnreg.registration.refine.degrees_of_freedom import supported_dof
from stnreg.registration.refine.one_person import run_pass, sample_both
from stnreg.registration.refine.pyramid import PyramidLevel, build_levels, upright
from stnreg.registration.refine.region import Region
from stnreg.registration.refine.samples import extent, middle
from stnreg.registration.refine.search import PASSES
from stnreg.resampling.block_mean import BlockMeans

COARSE = PASSES[0]


def coarse_correlation(
    fixed: tuple[BlockMeans, Region], moving: tuple[BlockMeans, Region], fixed_to_moving: Matrix, dof: int = 12
) -> float:
    """Return the local correlation after the coarsest pass of the refinement, 0 to 1.

    It costs a tenth of a refinement. Of one head it is 0.9 and more, of two people 0.7 and more. Under a wrong pose,
    and where one image shows no head, it is 0.4 at most.

    Parameters
    ----------
    fixed, moving : (BlockMeans, Region)
    fixed_to_moving : (4, 4) float64
        Initial transform, LPS mm.
    dof : int
        6, 7, 9 or 12.
    """
    sampled = sample_both((_level(*fixed), _level(*moving)), COARSE.samples)
    usable = supported_dof(dof, *extent(*sampled, fixed_to_moving))
    start = nearest_dof(fixed_to_moving, middle(*sampled, fixed_to_moving), usable)
    return run_pass(sampled, start, usable, COARSE, None).correlation


def _level(means: BlockMeans, region: Region) -> PyramidLevel:
    return build_levels(upright(*means.at(COARSE.spacing_mm)), [COARSE.spacing_mm], region)[0]
