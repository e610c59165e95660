"""The stage that deforms: after the affine, a smooth map without folds between the two brains."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from stnreg.geometry.affine import apply_affine, invert
from stnreg.registration.anatomy.encoding import Encoding
from stnreg.registration.anatomy.maps import MapNetwork
from stnreg.registration.deformable.appearance import Appearance, appearance
from stnreg.registration.deformable.frame import Frame, frame_between, frame_to_head
from stnreg.registration.deformable.instance import ONE_PERSON, InstanceSettings, residual
from stnreg.registration.deformable.meeting import Surroundings, meet
from stnreg.registration.deformable.on_image import Unfolded, unfolded_on
from stnreg.registration.deformable.shown import comparable, in_t1_too
from stnreg.registration.deformable.unfold import Watched, blocks, eased
from stnreg.registration.deformable.velocity import VelocityNetwork, lattice_of, prepared
from stnreg.registration.pair import ImagePair
from stnreg.registration.refine.region import Region
from stnreg.registration.stages import StageResult
from stnreg.resampling.channels import sample_maps
from stnreg.transforms.affine import Affine
from stnreg.transforms.base import Transform
from stnreg.transforms.bspline import BSplineField
from stnreg.transforms.chain import Chain
from stnreg.transforms.velocity import VelocityField

Array = np.ndarray
Encodings = tuple[Encoding, Encoding]
SPARSE = 5  # of so many control points one is looked up in the maps, to tell how well they agree
PASSES = 2  # the network sees what is left once more, each head moved halfway; a third time gains nothing


@dataclass(frozen=True, eq=False)
class Deformation:
    """What the deformable stage found.

    Attributes
    ----------
    velocity : VelocityField
        In the frame.
    frame : Frame
        Where the images lie in it.
    folds_central, folds_digital : int
        Voxels of the fixed grid at which the warp folds, and of the moving grid at which its inverse does, by central
        differences and by the digital criterion (Liu et al., 2022).
    log_jacobian_sd : float
        Standard deviation of the logarithm of the Jacobian determinant inside the fixed brain.
    largest_mm : float
        The longest displacement.
    agreement_before, agreement_after : float
        Agreement of the structures of both images under the affine alone and under the whole map, 0 to 1.
    stiffness_mm : float
        As it was used.
    compared_in_t1 : bool
        Whether the contrasts of the heads differ, so that they were compared as in T1 too.
    sampled : Unfolded or None
        The warps as they were sampled on the grids of the images, at hand for those who write them.
    """

    velocity: VelocityField
    frame: Frame
    folds_central: int
    folds_digital: int
    log_jacobian_sd: float
    largest_mm: float
    agreement_before: float
    agreement_after: float
    stiffness_mm: float
    compared_in_t1: bool = False
    sampled: Unfolded | None = None

    @property
    def transform(self) -> Chain:
        """Fixed points to the frame, along the flow, and from the frame to moving points; LPS mm."""
        return Chain((Affine(invert(self.frame.to_fixed)), self.velocity, Affine(self.frame.to_moving)))


@dataclass(frozen=True, eq=False)
class Deform:
    """Deform the moving head onto the fixed one, from an affine that has brought them together.

    Attributes
    ----------
    encodings : tuple of Encoding
        Of fixed and moving.
    heads : MapNetwork
        What encoded them.
    network : VelocityNetwork
    stiffness_mm : float
        Standard deviation of the Gaussian that the velocity is smoothed by, mm; 0 leaves it as predicted.
    threads : int
    one_person : bool
        Whether both images show one person: its shape changes smoothly and little. The intensities alone are followed,
        and further.
    """

    encodings: Encodings
    heads: MapNetwork
    network: VelocityNetwork
    stiffness_mm: float
    threads: int
    one_person: bool = False
    name: ClassVar[str] = "deform"

    def __call__(self, pair: ImagePair, transform: Transform | None) -> StageResult:
        """Return the affine followed by the deformation; the findings are a `Deformation`."""
        assert transform is not None
        assert transform.matrix is not None
        a, b = (frame_to_head(encoding, self.heads) for encoding in self.encodings)
        frame = frame_between(a, b, transform.matrix)
        fixed, moving = self._appearances(pair, frame)
        region = Surroundings.of(fixed.brain | moving.brain, self.network.box)
        # One person's shape is nearer to itself than to what the network has seen of two people.
        unmoved = np.zeros((3, *region.grid.shape), np.float32)
        vectors = unmoved if self.one_person else self._predicted(fixed, moving, region)
        vectors, compared_in_t1 = self._followed(fixed, moving, vectors, region)
        deformed = unfolded_on(vectors, region.grid, frame, (pair.fixed.grid, pair.moving.grid), self.threads)
        found = _measured(deformed, frame, region.cut(fixed.brain), self.encodings, self.stiffness_mm)
        return StageResult(found.transform, replace(found, compared_in_t1=compared_in_t1))

    def _predicted(self, fixed: Appearance, moving: Appearance, region: Surroundings) -> Array:
        """Return the network's velocity, (3, z, y, x) mm: it looks at the heads, and again at where they then meet.

        Every other look is at the heads in the mirror: what the network finds on one side alone without a reason, the
        next look takes back.
        """
        excluded = blocks(fixed.excluded | moving.excluded)
        lattice = lattice_of(self.network.box)
        spacing_mm = float(lattice.spacing.min())

        def vectors(coefficients: Array, stiffness_mm: float) -> Array:
            smooth = prepared(coefficients, excluded, stiffness_mm, spacing_mm)
            return region.faded(BSplineField(smooth, lattice).to_displacement(region.grid).vectors)

        coefficients = self.network.predict(fixed, moving)
        for number in range(1, PASSES):
            met = meet(fixed, moving, VelocityField(vectors(coefficients, 0.0), region.grid), region, self.threads)
            coefficients = coefficients + self.network.predict(*met, mirrored=number % 2 == 1)
        return vectors(coefficients, self.stiffness_mm)

    def _followed(
        self, fixed: Appearance, moving: Appearance, vectors: Array, region: Surroundings
    ) -> tuple[Array, bool]:
        """Return a velocity, (3, z, y, x) mm, that also follows what intensities say is left, and whether in T1 too."""
        spacing_mm = float(region.grid.spacing.min())
        settings = (ONE_PERSON if self.one_person else InstanceSettings()).as_smooth_as(self.stiffness_mm / spacing_mm)
        heads, velocity = (fixed, moving), VelocityField(vectors, region.grid)
        met = meet(*heads, velocity, region, self.threads)
        if not self.one_person:
            seen = in_t1_too(heads, met, self.network, region)
            met = met if seen is heads else meet(*seen, velocity, region, self.threads)
            heads = seen
        found = vectors + self._residual(met, region, settings)
        if settings.more_steps:
            watched = Watched.of(VelocityField(found, region.grid), self.threads)
            velocity = eased(watched, self.threads)
            more = replace(settings, steps=settings.more_steps)
            met = meet(*heads, velocity, region, self.threads)
            found = velocity.vectors + self._residual(met, region, more)
        return found, heads[0].in_t1 is not None

    def _residual(
        self, met: tuple[Appearance, Appearance], region: Surroundings, settings: InstanceSettings
    ) -> Array:  # fmt: skip
        weight = region.faded(region.cut(met[0].brain & met[1].brain)) == 1
        shown = comparable(met, region, settings)
        found = residual(shown, weight.astype(np.float32), settings, self.threads)
        return found * np.float32(region.grid.spacing.min())

    def _appearances(self, pair: ImagePair, frame: Frame) -> tuple[Appearance, Appearance]:
        shown = []
        for image, encoding, name, to_image in zip(
            pair.images, self.encodings, ("fixed", "moving"), (frame.to_fixed, frame.to_moving), strict=True
        ):
            masks = pair.masks
            brain = (encoding.brain, encoding.maps_grid)
            region = Region(brain, masks.get(f"{name}_mask"), masks.get(f"{name}_exclude"))
            shown.append(appearance(image, region, to_image, self.network.box, self.threads))
        return shown[0], shown[1]


def _measured(
    deformed: Unfolded, frame: Frame, brain: Array, encodings: Encodings, stiffness_mm: float
) -> Deformation:  # fmt: skip
    """Measure a deformation."""
    velocity = deformed.velocity
    there = velocity.exponential()
    strain = there.log_jacobian()[brain]
    strain = strain[np.isfinite(strain)]
    lattice = lattice_of(velocity.grid)
    z, y, x = (axis.ravel()[::SPARSE] for axis in np.indices(lattice.shape))
    points = apply_affine(lattice.index_to_lps, np.stack([x, y, z], 1).astype(float))
    return Deformation(
        velocity,
        frame,
        deformed.folds_central,
        deformed.folds_digital,
        float(strain.std()) if len(strain) else 0.0,
        there.largest_mm(),
        _agreement(encodings, frame, points, points),
        _agreement(encodings, frame, points, there.map_points(points)),
        stiffness_mm,
        sampled=deformed,
    )


def _agreement(encodings: Encodings, frame: Frame, fixed_points: Array, moving_points: Array) -> float:
    """Return the soft Dice of all structures of both images at points (N, 3) of the frame."""
    shares = []
    for encoding, to_image, points in zip(
        encodings, (frame.to_fixed, frame.to_moving), (fixed_points, moving_points), strict=True
    ):
        index = apply_affine(encoding.maps_grid.lps_to_index @ to_image, points)
        shares.append(sample_maps(encoding.maps, index)[1:])
    mine, theirs = shares
    return float(2 * np.minimum(mine, theirs).sum() / max(float(mine.sum() + theirs.sum()), 1e-6))
