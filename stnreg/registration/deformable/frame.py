"""The frame halfway between two heads, in which one is deformed onto the other.

The frame is the template's: LPS mm about the middle of a mean brain, so that every head is upright in it and about as
large. Each head comes to it by an affine of its own; what those of two heads leave between them is split evenly, so
that exchanging the images gives the same frame.
"""

from dataclasses import dataclass

import numpy as np

from stnreg.geometry.affine import apply_affine, compose, invert
from stnreg.geometry.fitting import fit_affine
from stnreg.geometry.grid import Grid
from stnreg.geometry.lie import exp_affine, geodesic_mean, log_affine
from stnreg.geometry.matrix import Matrix
from stnreg.registration.anatomy.encoding import Encoding
from stnreg.registration.anatomy.maps import MapNetwork, cauchy_weights, wholeness

Array = np.ndarray
EXTENT_MM = (160.0, 192.0, 160.0)
"""Of the box around the frame's origin that holds every brain, along x, y, z."""
RIDGE = 0.01  # pull of the affine of one head towards a similarity


@dataclass(frozen=True, eq=False)
class Frame:
    """Where both heads lie in the frame.

    Attributes
    ----------
    to_fixed, to_moving : (4, 4) float64
        From frame points to points of either image, LPS mm.
    """

    to_fixed: Matrix
    to_moving: Matrix


def box(shape: tuple[int, int, int], spacing_mm: float) -> Grid:
    """Return a grid about the frame's origin, of `shape` voxels along z, y, x."""
    return Grid.cube(np.zeros(3), shape[::-1], spacing_mm)


def frame_to_head(encoding: Encoding, network: MapNetwork) -> Matrix:
    """Fit the affine from the frame to one head by the centroids of its structures, symmetric and robust.

    Parameters
    ----------
    encoding : Encoding
    network : MapNetwork
        What made it, with the template's centroids.

    Returns
    -------
    frame_to_lps : (4, 4) float64
        mm.
    """
    template, found = network.template, encoding.centroids_lps
    both = ~np.isnan(template[:, 0]) & ~np.isnan(found[:, 0])
    weights = encoding.weights[both]
    if network.volumes_mm3 is not None:
        size = np.linalg.det(encoding.template_to_lps[:3, :3])
        ratio = encoding.volumes_mm3[both] / (network.volumes_mm3[both] * size)
        weights = weights * wholeness(np.minimum(ratio, 1.0))
    a, b, trusted = template[both], found[both], weights
    for _ in range(4):
        forward, backward = fit_affine(a, b, trusted, ridge=RIDGE), fit_affine(b, a, trusted, ridge=RIDGE)
        a_to_b = geodesic_mean([forward, invert(backward)])
        distance = np.linalg.norm(apply_affine(a_to_b, a) - b, axis=1)
        trusted = weights * cauchy_weights(distance, floor_mm=2.0)
    return a_to_b


def frame_between(frame_to_fixed: Matrix, frame_to_moving: Matrix, fixed_to_moving: Matrix) -> Frame:
    """Return the frame halfway between two heads.

    With A and B from the frame to either head and F between them, to_fixed = A (A^-1 F^-1 B)^(1/2) and
    to_moving = F to_fixed: exchange A and B, and F with its inverse, and the two change places.

    Parameters
    ----------
    frame_to_fixed, frame_to_moving : (4, 4) float64
        Of each head alone, LPS mm.
    fixed_to_moving : (4, 4) float64
        The affine between them, LPS mm.
    """
    left_over = compose(invert(frame_to_fixed), invert(fixed_to_moving), frame_to_moving)
    to_fixed = compose(frame_to_fixed, exp_affine(log_affine(left_over) / 2))
    return Frame(to_fixed, compose(fixed_to_moving, to_fixed))
