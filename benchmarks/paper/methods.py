"""The methods that the paper's tables have as rows: two scans in memory in, one `fixed_to_moving` out."""

from collections.abc import Callable
from dataclasses import dataclass

from stnreg.geometry.matrix import Matrix
from stnreg.images.volume import Volume
from stnreg.models import card as weights
from stnreg.preprocessing.initial_transform import center_geometry

Method = Callable[[Volume, Volume, str, int], Matrix]  # fixed, moving, column, threads


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes
    ----------
    title : str
    run : callable
    is_paper : bool
        Whether the paper has this row, too.
    """

    title: str
    run: Method
    is_paper: bool = False


def none(fixed: Volume, moving: Volume, column: str, threads: int) -> Matrix:
    """Put the middles of the grids on each other, where the networks start."""
    return center_geometry(fixed.grid, moving.grid)


def network(name: str, *, refine: bool = False) -> Method:
    """Run a pair network, its last pass too; with `refine` as `stnreg register --model` does, else alone."""

    def run(fixed: Volume, moving: Volume, column: str, threads: int) -> Matrix:
        import stnreg

        model = model_for(name, column)
        return stnreg.register(fixed, moving, model=model, refine=refine, device="cpu", threads=threads).fixed_to_moving

    return run


def first_passes(name: str) -> Method:
    """Run the passes of a pair network without its last: the published architecture alone."""

    def run(fixed: Volume, moving: Volume, column: str, threads: int) -> Matrix:
        from stnreg.models.runtime import open_session
        from stnreg.registration.pairnet.predict import OpenPass, predict_pair

        network = weights.find(model_for(name, column))
        opened = OpenPass(network, open_session(network, threads=threads, device="cpu"))
        return predict_pair(fixed, moving, [opened], threads=threads).fixed_to_moving

    return run


def model_for(name: str, column: str) -> str:
    """Return the weights of a pair network for a column: the paper trained one for each kind of data.

    Weights named NAME-COLUMN are used where they are there; those trained on heads elsewhere.
    """
    own = f"{name}-{column}"
    return own if own in weights.names() else name


def default(fixed: Volume, moving: Volume, column: str, threads: int) -> Matrix:
    """Run what `stnreg register` runs when told nothing."""
    import stnreg

    return stnreg.register(fixed, moving, device="cpu", threads=threads).fixed_to_moving


def peer(recipe: str) -> Method:
    """Run one of the methods of `stnreg baseline`."""

    def run(fixed: Volume, moving: Volume, column: str, threads: int) -> Matrix:
        from stnreg.baselines.run import align

        return align(fixed, moving, recipe, threads=threads).fixed_to_moving

    return run


METHODS: dict[str, Row] = {
    "none": Row("no registration", none, True),
    "separate": Row("3D STN, separate", network("separate"), True),
    "affine": Row("3D STN, affine", network("affine"), True),
    "separate-first": Row("separate, no last", first_passes("separate")),
    "affine-first": Row("affine, no last", first_passes("affine")),
    "separate-refined": Row("separate, refined", network("separate", refine=True)),
    "affine-refined": Row("affine, refined", network("affine", refine=True)),
    "sitk-affine": Row("SimpleITK", peer("sitk-affine"), True),
    "stnreg": Row("stnreg's default", default),
    "ants-fast": Row("ANTs AffineFast", peer("ants-fast")),
    "greedy": Row("Greedy", peer("greedy")),
    "elastix": Row("elastix", peer("elastix")),
}
