"""Register a pair: read, encode, estimate, refine, assess. Used by the command line and by Python."""

import os
from collections.abc import Mapping

from stnreg.core.clock import Clock
from stnreg.core.threads import one_blas_thread
from stnreg.errors import UsageProblem
from stnreg.images.inputs import Image, as_volume
from stnreg.images.templates import is_shipped, locate
from stnreg.images.volume import HeaderSource
from stnreg.models.card import Weights, find
from stnreg.registration.anatomy.encoded import EncodedImage
from stnreg.registration.anatomy.stored import stored_encoding
from stnreg.registration.methods import Method, method_of
from stnreg.registration.options import DEFAULT_MODEL, Dof, RegistrationOptions
from stnreg.registration.pair import initial_transform, reading
from stnreg.registration.result import Registration, RegistrationResult

__all__ = ["DEFAULT_MODEL", "Dof", "Registration", "RegistrationResult", "register", "register_pair"]


def register(
    fixed: Image | EncodedImage,
    moving: Image | EncodedImage,
    *,
    dof: int = 12,
    model: str = DEFAULT_MODEL,
    init: str = "auto",
    header_source: HeaderSource = "auto",
    refine: bool = True,
    deform: bool = False,
    stiffness_mm: float | None = None,
    fixed_mask: Image | None = None,
    moving_mask: Image | None = None,
    fixed_exclude: Image | None = None,
    moving_exclude: Image | None = None,
    volume: str | int | None = None,
    max_seconds: float | None = None,
    min_score: float | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> RegistrationResult:
    """Register a moving image to a fixed image.

    Parameters
    ----------
    fixed, moving : path, Volume, nibabel or SimpleITK image, or EncodedImage
        3-D scans of heads or brains, in any orientation, names of templates, such as `MNI152`, or images that `encode`
        returned. With a pair network: of any object.
    fixed_mask, moving_mask : image, optional
        Non-zero where the refinement uses the image, instead of the brain mask. Resampled to its grid if needed.
    fixed_exclude, moving_exclude : image, optional
        Non-zero where it does not use the image: lesions, resections.
    dof, model, init, header_source, refine, deform, stiffness_mm, volume, max_seconds, min_score, device, threads
        As in `RegistrationOptions`.

    Returns
    -------
    RegistrationResult

    Raises
    ------
    DataError
        If an image, a transform or a network cannot be used.
    UsageProblem
        If an argument is not one of the above.
    """
    options = RegistrationOptions(
        dof=dof,
        model=model,
        init=init,
        header_source=header_source,
        refine=refine,
        deform=deform,
        stiffness_mm=stiffness_mm,
        volume=volume,
        max_seconds=max_seconds,
        min_score=min_score,
        device=device,
        threads=threads,
    )
    masks = {
        "fixed_mask": fixed_mask,
        "moving_mask": moving_mask,
        "fixed_exclude": fixed_exclude,
        "moving_exclude": moving_exclude,
    }
    return register_pair(fixed, moving, options, masks)


@one_blas_thread()
def register_pair(
    fixed: Image | EncodedImage,
    moving: Image | EncodedImage,
    options: RegistrationOptions,
    masks: Mapping[str, Image | None] | None = None,
) -> RegistrationResult:
    """Register a moving image to a fixed image, as `register` does.

    Parameters
    ----------
    fixed, moving
        As `register` takes them.
    options : RegistrationOptions
    masks : mapping, optional
        `fixed_mask`, `moving_mask`, `fixed_exclude`, `moving_exclude`; None for those that are not given.
    """
    given_masks = {name: mask for name, mask in (masks or {}).items() if mask is not None}
    weights = find(options.model)
    method = method_of(weights)
    _check(method, weights, (fixed, moving), options, masked=bool(given_masks))
    if method.encodes_alone:
        fixed, moving = (_with_stored_encoding(image, weights, options) for image in (fixed, moving))
    clock = Clock()
    with reading(fixed, moving, given_masks, options, threads=options.thread_count) as read:
        with clock.stage("load network"):  # while the images are read
            new = sum(not isinstance(image, EncodedImage) for image in (fixed, moving))
            network = method.open(weights, options.thread_count, options.device, new)
        with clock.stage("read"):
            pair = read()
    with clock.stage("start"):
        initial, warnings = initial_transform(options.init, pair)
    found = network.register(pair, initial, options, clock)
    notes = found.refined.notes if found.refined else ()
    return RegistrationResult(
        found.transform,
        found.affine,
        pair.fixed,
        pair.moving,
        options,
        weights,
        found.verdict,
        clock.seconds,
        (*pair.fixed.warnings, *pair.moving.warnings, *pair.mask_warnings, *warnings, *notes),
        found.refined,
        found.deformation,
        pair.fixed_series,
        pair.moving_series,
        found.encodings,
    )


def _with_stored_encoding(
    image: Image | EncodedImage, weights: Weights, options: RegistrationOptions
) -> Image | EncodedImage:
    """Return a template that comes with stnreg with its encoding, and any other image as it is."""
    if not isinstance(image, str | os.PathLike) or not is_shipped(locate(image).path):
        return image
    volume = as_volume(image, options.header_source)
    stored = stored_encoding(volume.path, weights)
    return volume if stored is None else EncodedImage(volume, volume, stored, weights)


def _check(
    method: Method,
    weights: Weights,
    images: tuple[Image | EncodedImage, ...],
    options: RegistrationOptions,
    *,
    masked: bool,
) -> None:
    """Raise UsageProblem on arguments that contradict each other, before anything is read."""
    if masked and not (options.refine and method.refines):
        raise UsageProblem("masks are used by the refinement, which is switched off or not available with this network")
    if options.deform and not method.deforms:
        raise UsageProblem(f"a deformation needs an anatomy network; {weights.name} is a pair network")
    for image in images:
        if isinstance(image, EncodedImage) and image.model.identity != weights.identity:
            raise UsageProblem(f"{image.volume.path}: was encoded by {image.model.name}, not by {weights.name}")
