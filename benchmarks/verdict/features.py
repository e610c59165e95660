"""What can be measured of a registration without knowing the truth: the features a verdict may be built on.

Everything here is cheap once two images are encoded and their levels built, so thousands of outcomes can be measured.
"""

from dataclasses import dataclass, replace

import numpy as np

from stnreg.geometry.affine import apply_affine, compose
from stnreg.geometry.grid import Grid
from stnreg.registration.anatomy.agreement import common_share
from stnreg.registration.anatomy.encode import encode
from stnreg.registration.anatomy.encoding import AnatomyModel, Encoding
from stnreg.registration.anatomy.fit import affine_standard_error_mm
from stnreg.registration.anatomy.maps import centroids_of
from stnreg.registration.refine.linearization import linearize_both, mean_correlation, mean_raw_correlation
from stnreg.registration.refine.pyramid import build_levels
from stnreg.registration.refine.region import Region
from stnreg.registration.refine.samples import SampledImage, middle, take_samples
from stnreg.resampling.channels import sample_maps

Array = np.ndarray
SPACINGS_MM, SAMPLES = (4.0, 2.0), (10_000, 15_000)
FEATURES = (
    "brain_dice",  # soft Dice of the two brains
    "residual_fixed_mm",  # of the structures from where a head has them
    "residual_moving_mm",
    "doubt_fixed",  # the residual over how sharp the maps are of what is in view
    "doubt_moving",
    "found",  # structures found in both images
    "sharpness_fixed",  # of the maps of the structures found, mean, 0 to 1
    "sharpness_moving",
    "brain_fixed_ml",
    "brain_moving_ml",
    "centroids_mm",  # weighted root mean square distance of the structures under the transform
    "centroids_median_mm",
    "determinant",
    "stretch",  # largest over smallest singular value
    "common_share",  # volume of the smaller brain in view over the larger one's
    "affine_standard_error_mm",  # how far off an affine through the structures may be, over the whole brain
    "overlap",  # of the samples of a brain, how many see the other image; the smaller of both
    "correlation_4mm",  # local correlation inside the brain, an intensity map between
    "correlation_2mm",
    "likeness_4mm",  # the same without a map between intensities
    "mirrored_correlation_4mm",  # with the moving head exchanged for its mirror image
)


@dataclass(frozen=True, eq=False)
class EncodedImage:
    """One image, encoded, with its refinement levels; maps in half precision, since many are kept.

    Attributes
    ----------
    name : str
    encoding : Encoding
        Its maps float16.
    sharpness : float
        Of the maps of the structures that were found, mean, 0 to 1.
    sampled : tuple of SampledImage
        At `SPACINGS_MM`.
    """

    name: str
    encoding: Encoding
    sharpness: float
    sampled: tuple[SampledImage, ...]

    def whole_encoding(self) -> Encoding:
        """Return the encoding with maps in single precision."""
        e = self.encoding
        maps = e.maps.astype(np.float32)
        return replace(e, maps=maps)


def encode_image(name: str, image: Array, grid: Grid, model: AnatomyModel, *, prepare: bool = True) -> EncodedImage:
    """Encode an image and prepare its levels, for `features`."""
    e = encode(image, grid, model)
    if not prepare:
        return EncodedImage(name, replace(e, maps=e.maps.astype(np.float16)), 0.0, ())
    levels = build_levels((image, grid), SPACINGS_MM, Region((e.brain, e.maps_grid)))
    sampled = tuple(SampledImage(take_samples(level, n), level) for level, n in zip(levels, SAMPLES, strict=True))
    kept = replace(e, maps=e.maps.astype(np.float16))
    centroids, sharp, _ = centroids_of(e.maps)
    found = sharp[~np.isnan(centroids[:, 0])]
    return EncodedImage(name, kept, float(found.mean()) if len(found) else 0.0, sampled)


def features(
    fixed: EncodedImage, moving: EncodedImage, a: Encoding, b: Encoding, fixed_to_moving: Array
) -> dict[str, float]:
    """Measure one transform.

    Parameters
    ----------
    fixed, moving : EncodedImage
    a, b : Encoding
        Their whole encodings.
    fixed_to_moving : (4, 4) float64
        LPS mm.
    """
    both = ~np.isnan(a.centroids_lps[:, 0]) & ~np.isnan(b.centroids_lps[:, 0])
    off = np.linalg.norm(apply_affine(fixed_to_moving, a.centroids_lps[both]) - b.centroids_lps[both], axis=1)
    weights = np.sqrt(a.weights * b.weights)[both]
    singular = np.linalg.svd(fixed_to_moving[:3, :3], compute_uv=False)
    linearized = [_linearized(f, m, fixed_to_moving) for f, m in zip(fixed.sampled, moving.sampled, strict=True)]
    mirrored = _linearized(fixed.sampled[0], moving.sampled[0], compose(b.mirror, fixed_to_moving))
    values = (
        brain_dice(a, b, fixed_to_moving),
        a.residual_mm,
        b.residual_mm,
        a.pose_uncertainty,
        b.pose_uncertainty,
        int(both.sum()),
        fixed.sharpness,
        moving.sharpness,
        _brain_ml(a),
        _brain_ml(b),
        float(np.sqrt((weights @ off**2) / max(weights.sum(), 1e-9))) if both.any() else np.nan,
        float(np.median(off)) if both.any() else np.nan,
        float(np.linalg.det(fixed_to_moving[:3, :3])),
        float(singular[0] / singular[-1]),
        common_share(a, b, fixed_to_moving),
        affine_standard_error_mm(a, b),
        min(v.overlap for v in linearized[0]),
        mean_correlation(linearized[0]),
        mean_correlation(linearized[1]),
        mean_raw_correlation(linearized[0]),
        mean_correlation(mirrored),
    )
    return dict(zip(FEATURES, map(float, values), strict=True))


def brain_dice(fixed: Encoding, moving: Encoding, fixed_to_moving: Array) -> float:
    """Return the soft Dice of the two brains under the transform, on the fixed maps' grid."""
    depth, height, width = fixed.brain.shape
    z, y, x = np.unravel_index(np.arange(fixed.brain.size), (depth, height, width))
    points = apply_affine(fixed.maps_grid.index_to_lps, np.stack([x, y, z], 1).astype(float))
    index = apply_affine(moving.maps_grid.lps_to_index, apply_affine(fixed_to_moving, points))
    theirs = 1 - sample_maps(moving.maps[:1], index)[0]
    mine = fixed.brain.reshape(-1)
    return float(2 * np.minimum(mine, theirs).sum() / max(mine.sum() + theirs.sum(), 1e-6))


def _linearized(fixed: SampledImage, moving: SampledImage, fixed_to_moving: Array):
    return linearize_both(fixed, moving, fixed_to_moving, middle(fixed, moving, fixed_to_moving))


def _brain_ml(encoding: Encoding) -> float:
    voxel_mm3 = abs(np.linalg.det(encoding.maps_grid.index_to_lps[:3, :3]))
    return float(encoding.brain.sum(dtype=np.float64) * voxel_mm3 / 1000)
