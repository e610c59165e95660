"""Register a series: encode each visit, compare pairs, bring them into agreement, refine against the template."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from stnreg.core.clock import Clock
from stnreg.core.threads import one_blas_thread
from stnreg.errors import StnregError, UsageProblem
from stnreg.geometry.affine import nearest_dof
from stnreg.geometry.matrix import Matrix
from stnreg.images.inputs import Image
from stnreg.images.volume import Volume
from stnreg.models.card import find
from stnreg.preprocessing.masks import load_masks
from stnreg.registration.anatomy.encode import threads_of_each
from stnreg.registration.anatomy.encoded import EncodedImage
from stnreg.registration.anatomy.encoding import AnatomyModel
from stnreg.registration.anatomy.load import open_encoder
from stnreg.registration.encoding import encode
from stnreg.registration.methods import method_of
from stnreg.registration.series.agreement import agreeing_maps, mean_space, reduced, residuals_mm
from stnreg.registration.series.change import ChangeResult, measure_change, voxel_warnings
from stnreg.registration.series.options import SeriesOptions
from stnreg.registration.series.pairs import Pairs, in_parallel
from stnreg.registration.series.people import links, reason_left_out
from stnreg.registration.series.poses import with_agreeing_poses
from stnreg.registration.series.reference import to_reference
from stnreg.registration.series.result import ERROR, KEPT, LEFT_OUT, SeriesResult, VisitResult
from stnreg.registration.series.rounds import refine_in_rounds
from stnreg.registration.series.skull import relative_scales

BRAIN_RADIUS_MM = 60.0

Item = TypeVar("Item")


@one_blas_thread()
def register_series(
    visits: Sequence[Image | EncodedImage],
    names: Sequence[str] | None = None,
    options: SeriesOptions | None = None,
    exclude: Mapping[str, Image] | None = None,
) -> SeriesResult:
    """Bring the visits of one person into one space.

    Parameters
    ----------
    visits : sequence of path, Volume, nibabel or SimpleITK image, or EncodedImage
        Two or more scans of one head; grids, voxel sizes, orientations and scanners may differ.
    names : sequence of str, optional
        Of the visits, unique; `visit-1` and so on by default.
    options : SeriesOptions, optional
    exclude : mapping of str to path, Volume, nibabel or SimpleITK image, optional
        By the name of a visit: the part of it to ignore (non-zero), such as a lesion or what takes up contrast agent.
        Transforms do not follow it, and the displacements of `change` are interpolated over it.

    Returns
    -------
    SeriesResult
        A visit (or its mask) that cannot be read, is judged failed or shows another person is in it with the reason.

    Raises
    ------
    UsageProblem
        If there are fewer than two visits, names are not unique, or the network is a pair network.
    DataError
        If the network or the reference cannot be used.
    """
    options = options or SeriesOptions()
    named = list(names) if names is not None else [f"visit-{k + 1}" for k in range(len(visits))]
    if len(visits) < 2:
        raise UsageProblem(f"a series has two visits or more, got {len(visits)}")
    if len(named) != len(visits) or len(set(named)) < len(named):
        raise UsageProblem("every visit of a series needs a name of its own")
    if unknown := set(exclude or {}) - set(named):
        raise UsageProblem(f"exclude: no visit is named {', '.join(sorted(unknown))}; they are {', '.join(named)}")
    weights, clock = find(options.model), Clock()
    if not method_of(weights).encodes_alone:
        raise UsageProblem(f"{weights.name}: a series needs an anatomy network, which encodes each visit alone")
    with clock.stage("encode"):
        read = in_parallel(lambda one: _encoded(one, options, len(visits)), visits, options.thread_count)
    masks = [_mask_of(one, (exclude or {}).get(name), options) for name, one in zip(named, read, strict=True)]
    read = [mask if isinstance(mask, StnregError) else one for one, mask in zip(read, masks, strict=True)]
    results = [
        VisitResult(name, _path(given), ERROR, str(one))
        if isinstance(one, StnregError)
        else VisitResult(name, one.volume.path, LEFT_OUT, image=one.whole, warnings=one.volume.warnings)
        for name, given, one in zip(named, visits, read, strict=True)
    ]
    usable = {k: one for k, one in enumerate(read) if isinstance(one, EncodedImage)}
    order = sorted(usable, key=lambda k: _content(usable[k]))  # so that the order given does not matter
    with clock.stage("pairs"):
        ignored = [mask if isinstance(mask := masks[k], Volume) else None for k in order]
        pairs = Pairs([usable[k] for k in order], options, ignored).compared()
    group, evidence = pairs.group, pairs.evidence
    for k in set(range(len(order))) - set(group):
        place = order[k]
        results[place] = replace(results[place], reason=reason_left_out(k, group, evidence))
    if len(group) < 2:
        reason = "no two visits show one person" if len(order) > 1 else "fewer than two visits can be used"
        results = [replace(one, reason=one.reason or reason) for one in results]
        empty = np.zeros(3)
        return SeriesResult(tuple(results), None, empty, options, weights, clock.seconds, warnings=(reason,))
    with clock.stage("agree"):
        model = open_encoder(weights, options.thread_count, options.device).model
        members, maps, disagreement = _agreed(pairs, options, model)
    member_masks = [pairs.masks[k] for k in group]
    with clock.stage("template"):
        rounds = refine_in_rounds(members, maps, pairs.typical_correlation, options, member_masks)
    first = next((group.index(order.index(k)) for k in range(len(visits)) if k in order and order.index(k) in group), 0)
    with clock.stage("reference"):
        placed = to_reference(rounds, members, first, options)
    changes = None
    coarse: tuple[str, ...] = ()
    if options.change:
        given = sorted(range(len(group)), key=lambda number: order[group[number]])
        coarse = voxel_warnings([members[number] for number in given], [named[order[group[n]]] for n in given])
        with clock.stage("change"):
            changes = measure_change(members, placed.maps, placed.template.grid, options.thread_count, member_masks)
    skulls = relative_scales([one.skull for one in rounds.aligned])
    for number, k in enumerate(group):
        place = order[k]
        scores = [r.verdict.score for pair, r in pairs.results.items() if k in pair and pair in links(evidence)]
        found = rounds.aligned[number]
        results[place] = replace(
            results[place],
            status=KEPT,
            space_to_visit=placed.maps[number],
            score=float(np.mean([s for s in scores if s is not None])),
            correlation=found.correlation,
            disagreement_mm=disagreement[number],
            gain=rounds.gains[number],
            has_skull=found.has_skull,
            skull_log_volume=skulls[number].log_volume if skulls else None,
            skull_error=skulls[number].error if skulls else None,
            scale_error=found.scale_error and found.scale_error.times((len(group) - 1) / len(group)),
        )
    return SeriesResult(
        tuple(results),
        placed.template,
        placed.center_lps,
        options,
        weights,
        clock.seconds,
        rounds.moved_mm,
        placed.warnings + coarse,
        None if changes is None else _in_order_given(changes, [order[k] for k in group]),
    )


def _in_order_given(changes: ChangeResult, places: Sequence[int]) -> ChangeResult:
    """Sort what is told of each visit: from the order of content to that in which they were given."""
    which = np.argsort(places)

    def sort(values: Sequence[Item]) -> list[Item]:
        return [values[k] for k in which]

    return replace(
        changes,
        log_volume={name: sort(values) for name, values in changes.log_volume.items()},
        error={name: sort(values) for name, values in changes.error.items()},
        log_jacobian=sort(changes.log_jacobian),
        displacement=sort(changes.displacement),
    )


def _agreed(
    pairs: Pairs, options: SeriesOptions, model: AnatomyModel
) -> tuple[list[EncodedImage], list[Matrix], list[float]]:
    """Return the visits of the group, the maps from the mean space, and how far the pairs of each disagree, mm."""
    place = {k: number for number, k in enumerate(pairs.group)}
    edges = {(place[i], place[j]): pairs.results[i, j].fixed_to_moving for i, j in pairs.good}
    weights = {
        (place[i], place[j]): found.correlation**2 / max(1 - found.correlation**2, 1e-3)
        for (i, j), found in pairs.good.items()
    }
    common = agreeing_maps(edges, weights, len(place))
    members = with_agreeing_poses([pairs.visits[k] for k in pairs.group], common, model)
    poses = [nearest_dof(one.encoding.template_to_lps, np.zeros(3), 6) for one in members]
    maps = [reduced(one, np.zeros(3), options.dof) for one in mean_space(common, poses)]
    corners = BRAIN_RADIUS_MM * np.concatenate([np.eye(3), -np.eye(3)])
    off = residuals_mm(edges, maps, corners)
    disagreement = []
    for number in range(len(place)):
        own = [distance for pair, distance in off.items() if number in pair]
        disagreement.append(float(np.sqrt(np.mean(np.square(own)))))
    return members, maps, disagreement


def _encoded(image: Image | EncodedImage, options: SeriesOptions, count: int) -> EncodedImage | StnregError:
    """Read and encode one visit; the error if it cannot be used."""
    if isinstance(image, EncodedImage):
        return image
    try:
        return encode(
            image,
            model=options.model,
            header_source=options.header_source,
            volume=options.volume,
            device=options.device,
            threads=threads_of_each(options.thread_count, min(count, options.thread_count)),
        )
    except StnregError as error:
        return error


def _mask_of(
    visit: EncodedImage | StnregError, mask: Image | None, options: SeriesOptions
) -> Volume | StnregError | None:
    """Return the part of a visit to ignore, on its grid; the error if it cannot be used."""
    if mask is None or isinstance(visit, StnregError):
        return None
    try:
        read = load_masks({"fixed_exclude": mask}, visit.volume, visit.volume, options.header_source)
    except StnregError as error:
        return error
    inside, grid = read.on_grids["fixed_exclude"]
    return Volume(inside.astype(np.uint8), grid)


def _content(visit: EncodedImage) -> bytes:
    """Return a digest of the voxels and the grid of a visit."""
    known = hashlib.sha256(np.ascontiguousarray(visit.volume.array).view(np.uint8).data)
    known.update(visit.volume.grid.index_to_lps.tobytes())
    return known.digest()


def _path(image: object) -> str:
    return str(image) if isinstance(image, str) or hasattr(image, "__fspath__") else "image"
