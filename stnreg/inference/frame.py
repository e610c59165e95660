"""The frame in which two heads are deformed onto each other: the template's, by an affine of each head."""

import numpy as np

from stnreg.geometry.affine import apply_affine, invert
from stnreg.geometry.fitting import fit_affine
from stnreg.geometry.lie import geodesic_mean
from stnreg.registration.anatomy.encode import AnatomyModel, Encoding
from stnreg.registration.anatomy.maps import cauchy_weights, wholeness

Array = np.ndarray
RIDGE = 0.01  # pull towards a similarity


def template_affine(encoding: Encoding, model: AnatomyModel) -> Array:
    """Fit the affine from the frame to one head, (4, 4) LPS mm: by the structures' centroids, symmetric, robust."""
    template, found = model.fine.template, encoding.centroids_lps
    both = ~np.isnan(template[:, 0]) & ~np.isnan(found[:, 0])
    volumes = model.fine.volumes_mm3
    weights = encoding.weights[both]
    if volumes is not None:
        size = np.linalg.det(encoding.template_to_lps[:3, :3])
        weights = weights * wholeness(np.minimum(encoding.volumes_mm3[both] / (volumes[both] * size), 1.0))
    a, b, trusted = template[both], found[both], weights
    for _ in range(4):
        forward, backward = fit_affine(a, b, trusted, ridge=RIDGE), fit_affine(b, a, trusted, ridge=RIDGE)
        a_to_b = geodesic_mean([forward, invert(backward)])
        distance = np.linalg.norm(apply_affine(a_to_b, a) - b, axis=1)
        trusted = weights * cauchy_weights(distance, floor_mm=2.0)
    return a_to_b
