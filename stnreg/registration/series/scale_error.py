"""The uncertainty of a scale: how far each octant of the head would move it."""

from dataclasses import dataclass, replace

import numpy as np

from stnreg.geometry.affine import apply_affine, invert
from stnreg.geometry.matrix import Matrix
from stnreg.registration.refine.degrees_of_freedom import directions
from stnreg.registration.refine.linearization import Linearizations, linearize_both
from stnreg.registration.refine.samples import SampledImage, middle

Array = np.ndarray
OCTANTS = 8


@dataclass(frozen=True)
class ScaleError:
    """Standard errors of the scale of a visit, relative.

    Attributes
    ----------
    axes : (float, float, float)
        Of the scale along each axis: of the visit's scanner with up to 9 degrees of freedom, of the template with 12.
    volume : float
        Of the volume factor.
    """

    axes: tuple[float, float, float]
    volume: float

    def times(self, share: float) -> "ScaleError":
        """Return the errors of a share of the scale."""
        x, y, z = self.axes
        return ScaleError((share * x, share * y, share * z), share * self.volume)


def scale_error(
    visit: SampledImage, others: SampledImage, visit_to_space: Matrix, linearized: Linearizations, dof: int
) -> ScaleError:
    """Return the standard errors of the scales of a map at its optimum.

    They are those of sums over the octants of the head, taken as independent: noise counts, and what differs between
    parts of the head.

    Parameters
    ----------
    visit, others : SampledImage
        The samples that the map was fitted to.
    visit_to_space : (4, 4) float64
        LPS mm.
    linearized : (Linearization, Linearization)
        There and back, at the map.
    dof : int
        7, 9 or 12.
    """
    center = middle(visit, others, visit_to_space)
    basis = directions(visit_to_space, dof)
    normal = basis.T @ (linearized[0].normal + linearized[1].normal) @ basis
    strains = []
    for octant in range(OCTANTS):
        own = _in_octant(visit, np.eye(4), center, octant), _in_octant(others, invert(visit_to_space), center, octant)
        there, back = linearize_both(*own, visit_to_space, center)
        rhs = basis.T @ (_share(own[0], visit) * there.rhs + _share(own[1], others) * back.rhs)
        strain = (basis @ np.linalg.lstsq(normal, rhs, rcond=1e-6)[0]).reshape(3, 4)[:, :3]
        if dof == 12:  # along the axes of the template
            strain = visit_to_space[:3, :3] @ strain @ np.linalg.inv(visit_to_space[:3, :3])
        strains.append(np.diag(strain))
    each = np.array(strains)
    x, y, z = (float(np.sqrt(value)) for value in np.square(each).sum(0) * OCTANTS / (OCTANTS - 1))
    return ScaleError((x, y, z), float(np.sqrt(np.square(each.sum(1)).sum() * OCTANTS / (OCTANTS - 1))))


def _share(part: SampledImage, whole: SampledImage) -> float:
    return len(part.samples.values) / max(len(whole.samples.values), 1)


def _in_octant(image: SampledImage, to_visit: Matrix, center: Array, octant: int) -> SampledImage:
    """Keep the samples in one octant about a centre in the space of the visit."""
    points = apply_affine(to_visit @ image.samples.to_lps, image.samples.points.T) - center
    which = (points > 0) @ np.array([1, 2, 4]) == octant
    own = image.samples
    return replace(
        image,
        samples=replace(own, points=own.points[:, which], values=own.values[which], gradient=own.gradient[:, which]),
    )
