"""The space of the template: the mean space, the first visit's, or that of another image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stnreg.geometry.affine import apply_affine, compose, invert
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix
from stnreg.images.volume import Volume, load_volume
from stnreg.registration.anatomy.encoded import EncodedImage
from stnreg.registration.options import RegistrationOptions
from stnreg.registration.quality import failure
from stnreg.registration.register import register_pair
from stnreg.registration.series.options import SeriesOptions
from stnreg.registration.series.rounds import Rounds, brain_points
from stnreg.registration.series.template import average, on_grid

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Placed:
    """The template and the maps to the visits in the space that was asked for.

    Attributes
    ----------
    template : Volume
    maps : list of (4, 4) float64
        From its space to each visit, LPS mm.
    center_lps : (3,) float64
        Middle of the brain in it.
    warnings : tuple of str
    """

    template: Volume
    maps: list[Matrix]
    center_lps: Array
    warnings: tuple[str, ...] = ()


def to_reference(rounds: Rounds, visits: Sequence[EncodedImage], first: int, options: SeriesOptions) -> Placed:
    """Make the template, in the space that the options name.

    Parameters
    ----------
    rounds : Rounds
    visits : sequence of EncodedImage
    first : int
        Which of them was given first.
    options : SeriesOptions

    Raises
    ------
    DataError
        If the reference is an image that cannot be used.
    """
    center = brain_points(rounds.brain).mean(0)
    if options.reference == "unbiased":
        return Placed(_template(rounds, visits, rounds.maps, rounds.grid, options), list(rounds.maps), center)
    warnings: tuple[str, ...] = ()
    if options.reference == "first":
        space_to_mean = invert(rounds.maps[first])
        image = visits[first].volume
    else:
        image = load_volume(options.reference, options.header_source)
        template = _template(rounds, visits, rounds.maps, rounds.grid, options)
        of_pair = RegistrationOptions(dof=options.dof, model=options.model, threads=options.thread_count)
        found = register_pair(image, template, of_pair)
        space_to_mean = found.fixed_to_moving
        why = failure(found.verdict)
        warnings = (f"{options.reference}: the template was not well registered to it: {why}",) if why else ()
    maps = [compose(one, space_to_mean) for one in rounds.maps]
    made = _template(rounds, visits, maps, image.grid, options)
    placed = Volume(made.array, image.grid, image.header, made.path, differs=image.differs)
    return Placed(placed, maps, apply_affine(invert(space_to_mean), center), warnings)


def _template(
    rounds: Rounds, visits: Sequence[EncodedImage], maps: Sequence[Matrix], grid: Grid, options: SeriesOptions
) -> Volume:
    """Average the visits on a grid, with one brightness."""
    shown = [
        on_grid((one.volume.array, one.volume.grid), grid, to_visit, options.interp, options.thread_count)
        * np.float32(gain)
        for one, to_visit, gain in zip(visits, maps, rounds.gains, strict=True)
    ]
    return Volume(average(shown, options.average), grid, path="template")
