"""Refinement of an affine on the intensities inside both brain masks: symmetric Gauss-Newton, coarse to fine."""

from concurrent.futures import Executor
from dataclasses import replace
from time import perf_counter

import numpy as np

from stnreg.core.threads import one_blas_thread
from stnreg.geometry.affine import check_affine
from stnreg.geometry.grid import ArrayOnGrid
from stnreg.geometry.matrix import Matrix
from stnreg.registration.refine.anchor import Anchor, HeadShape, Structures
from stnreg.registration.refine.linearization import mean_correlation
from stnreg.registration.refine.one_person import refine_finest, supported
from stnreg.registration.refine.parallel import Side, on_both, second_worker
from stnreg.registration.refine.pyramid import build_levels, check_image, upright
from stnreg.registration.refine.refined import CORRELATION, Refined
from stnreg.registration.refine.region import Region
from stnreg.registration.refine.samples import motion_mm
from stnreg.registration.refine.search import PASSES, PyramidResult, Search
from stnreg.resampling.block_mean import BlockMeans


def refine_affine(
    fixed: ArrayOnGrid,
    moving: ArrayOnGrid,
    fixed_to_moving: Matrix,
    *,
    fixed_brain: ArrayOnGrid | None = None,
    moving_brain: ArrayOnGrid | None = None,
    fixed_mask: ArrayOnGrid | None = None,
    moving_mask: ArrayOnGrid | None = None,
    fixed_exclude: ArrayOnGrid | None = None,
    moving_exclude: ArrayOnGrid | None = None,
    moving_mirror: Matrix | None = None,
    structures: Structures | None = None,
    across_contrasts: bool = True,
    means: tuple[BlockMeans, BlockMeans] | None = None,
    dof: int = 12,
    threads: int = 2,
) -> Refined:
    """Refine an affine that is a few mm and degrees off.

    Symmetric: with the images exchanged and the initial transform inverted, the result is the inverse. The exception
    is 9 degrees of freedom, which scale along the axes of the fixed image.

    Parameters
    ----------
    fixed, moving : (array, Grid)
        Intensities, (z, y, x), any real type, and their grid.
    fixed_to_moving : (4, 4) float64
        Initial transform, LPS mm.
    fixed_brain, moving_brain : (array, Grid), optional
        Soft brain maps, 0 to 1, on any grid. Without one the foreground is used.
    fixed_mask, moving_mask : (array, Grid), optional
        Non-zero where the image is used, instead of the brain map.
    fixed_exclude, moving_exclude : (array, Grid), optional
        Non-zero where it is not used: lesions, resections.
    moving_mirror : (4, 4) float64, optional
        The reflection in the moving head's midplane, LPS mm. If given, exchanged left and right is checked for.
    structures : Structures, optional
        Points that both images show. They count beside the intensities, unless both images show one person.
    across_contrasts : bool
        Whether one head in two contrasts is looked for by mutual information, which says little of a wrong pose: where
        both images are known to show a head in its place, and may show the same one.
    means : (BlockMeans, BlockMeans), optional
        Of both images, if others have computed some.
    dof : int
        6, 7, 9 or 12.
    threads : int
        1, or 2 to process both images in parallel; the result is the same.

    Returns
    -------
    Refined

    Raises
    ------
    DataError
        If an array is not on its grid.
    GeometryError
        If the initial transform is not affine, or `dof` is none of these.
    """
    begun = perf_counter()
    start = check_affine(fixed_to_moving)
    sides = (
        (fixed, Region(fixed_brain, fixed_mask, fixed_exclude)),
        (moving, Region(moving_brain, moving_mask, moving_exclude)),
    )
    with one_blas_thread(), second_worker(threads) as pool:
        finest = _averaged(sides, means or (BlockMeans(*check_image(fixed)), BlockMeans(*check_image(moving))), pool)
        spacings_mm = [p.spacing_mm for p in PASSES]
        levels = on_both(lambda image, region: build_levels(image, spacings_mm, region), finest, pool)
        built = perf_counter()
        pairs = list(zip(*levels, strict=True))
        heads = fixed_brain is not None and moving_brain is not None
        anchors: tuple[Anchor, ...] = (HeadShape(),) if heads else ()
        anchors += () if structures is None else (structures,)
        search = Search(pairs, dof, pool, anchors, moving_mirror)
        result, gain = search.run(start)
        similarity = CORRELATION
        if across_contrasts and heads and not result.same_person:
            result, gain, similarity = search.across_contrasts(finest, result, gain)
        stepped = perf_counter()
        refined = None
        if result.improved and result.same_person and similarity == CORRELATION:
            result = _with_supported_dof(result, pool) if heads else result
            refined = refine_finest(sides, result.fixed_to_moving, result.dof, mean_correlation(result.after), pool)
    end = refined.fixed_to_moving if refined else result.fixed_to_moving
    return Refined(
        fixed_to_moving=end,
        improved=result.improved,
        dof=result.dof,
        same_person=result.same_person,
        same_contrast=result.same_contrast,
        local_correlation=mean_correlation(result.after),
        start_correlation=mean_correlation(result.before),
        overlap=min(v.overlap for v in result.after),
        residual=max(float(np.median(np.abs(v.residual))) if len(v.residual) else np.inf for v in result.after),
        motion_mm=motion_mm(*result.sampled, result.start, end),
        mirror_gain=gain,
        similarity=similarity,
        steps=result.steps + ((refined.steps,) if refined else ()),
        timings_s={"levels": built - begun, "steps": stepped - built, "last": perf_counter() - stepped},
        notes=_notes(result, dof, by_structures=structures is not None),
    )


def _averaged(
    sides: tuple[Side, Side], means: tuple[BlockMeans, BlockMeans], pool: Executor | None
) -> tuple[Side, Side]:
    """Average both images to the finest voxels that every pair is refined at; once for all that is built from them."""

    def average(image: BlockMeans, region: Region) -> Side:
        return upright(*image.at(PASSES[-1].spacing_mm)), region

    both = (means[0], sides[0][1]), (means[1], sides[1][1])
    first, second = on_both(average, both, pool)
    return first, second


def _notes(result: PyramidResult, dof: int, *, by_structures: bool) -> tuple[str, ...]:
    if not result.improved:  # where structures count, the start may have been their optimum, and needs no word
        return (
            ()
            if result.start_is_best or by_structures
            else ("the refinement did not improve the initial transform, which is kept",)
        )
    if result.dof == dof or result.rigid:  # that one head moved rigidly needs no note
        return ()
    return (f"the overlap supports {result.dof} degrees of freedom, not {dof}",)


def _with_supported_dof(result: PyramidResult, pool: Executor | None) -> PyramidResult:
    """Return the rigid result for one head if an affine fits hardly better."""
    rigid = supported(result.sampled, result.fixed_to_moving, result.dof, result.after, PASSES[-1], pool)
    if rigid is None:
        return result
    return replace(
        result, fixed_to_moving=rigid.fixed_to_moving, dof=6, after=rigid.linearized, rigid=True, one_head=True
    )
