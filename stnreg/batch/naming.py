"""Names of the outputs of a pair: a folder per id, or the entities of BIDS derivatives."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from stnreg.datasets.pair_table import Pair
from stnreg.errors import DataError
from stnreg.images.templates import is_shipped


@dataclass(frozen=True)
class Outputs:
    """The paths of all possible outputs of one pair.

    Attributes
    ----------
    image, inverse, labels : Path
        MOVING on the grid of FIXED, FIXED on that of MOVING, the labels of MOVING on the grid of FIXED.
    transform : Path
        The affine; with a deformation all of it, unless `warp` holds that part.
    document : Path
        JSON: the result and its inputs.
    image_document, inverse_document : Path or None
        Sidecars of the images, if the naming scheme has them.
    png, svg, html : Path
        Figures and page for quality control.
    preview : Path
        What the page of the study shows of the pair.
    warp : Path or None
        The deformation without the affine, if it has a file of its own.
    fixed_name, moving_name : str or None
        Names of the images in sidecars; their paths by default.
    """

    image: Path
    inverse: Path
    labels: Path
    transform: Path
    document: Path
    png: Path
    svg: Path
    html: Path
    preview: Path
    image_document: Path | None = None
    inverse_document: Path | None = None
    warp: Path | None = None
    fixed_name: str | None = None
    moving_name: str | None = None


Scheme = Callable[[Pair, Path, bool], Outputs]
"""From a pair, the folder of all outputs, and whether there is a deformation."""

PLAIN_CHARACTERS = "+"
"""Further characters that are not escaped in the name of a folder, besides letters, digits and `-._`."""
LONGEST_FOLDER = 200
"""Characters; file systems allow 255."""
DESCRIPTION = "dataset_description.json"
ENTITY = re.compile(r"(?:^|_)([a-z]+)-([A-Za-z0-9]+)")


def plain(pair: Pair, folder: Path, deform: bool = False) -> Outputs:
    """Name outputs `ID/moved.nii.gz`, `ID/moved.tfm` and so on; see `folder_name` for the folder.

    A deformation is `ID/moved_warp.nii.gz`, as `register` names it.
    """
    own = folder / folder_name(pair.id)
    return Outputs(
        own / "moved.nii.gz",
        own / "inverse.nii.gz",
        own / "moved-labels.nii.gz",
        own / "moved.tfm",
        own / "registration.json",
        own / "qc.png",
        own / "qc.svg",
        own / "qc.html",
        own / "preview.json",
        warp=own / "moved_warp.nii.gz" if deform else None,
    )


def folder_name(name: str) -> str:
    """Return the name of the folder of an id; unique to the id.

    ASCII letters, digits and `-._+` are kept, except a leading `-` or `.`. Other characters are percent-encoded in
    UTF-8, as in URLs. Names that are too long end in a digest of the whole.

    Examples
    --------
    >>> folder_name("sub-01_v2")
    'sub-01_v2'
    >>> folder_name("Zoë 1/2")
    'Zo%C3%AB%201%2F2'
    """
    quoted = quote(name, safe=PLAIN_CHARACTERS).replace("~", "%7E")
    if quoted[0] in "-.":
        quoted = f"%{ord(quoted[0]):02X}{quoted[1:]}"
    if len(quoted) <= LONGEST_FOLDER:
        return quoted
    return f"{quoted[: LONGEST_FOLDER - 33]}~{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def bids(pair: Pair, folder: Path, deform: bool = False) -> Outputs:
    """Name outputs as BIDS derivatives do: `sub-01/anat/sub-01_from-T1w_to-MNI152_mode-image_xfm.tfm`.

    With a deformation it is `..._xfm.h5`, as the NiPreps have it: one composite that holds the affine too, so that
    `from-` and `to-` are true of the one file.

    Raises
    ------
    DataError
        If the name of the moving image has no `sub-` entity.
    """
    moving, suffix = parse_bids(pair.moving)
    if "sub" not in moving:
        raise DataError(f"{pair.moving}: BIDS names are needed, such as sub-01_T1w.nii.gz; this one has no sub-")
    space = space_of(pair.fixed, moving)
    entities = "_".join(f"{key}-{value}" for key, value in moving.items() if key not in ("space", "desc"))
    session = [f"ses-{moving['ses']}"] if "ses" in moving else []
    kind = pair.moving.parent.name if pair.moving.parent.name in ("anat", "func", "dwi", "perf", "pet") else "anat"
    own, figures = folder.joinpath(f"sub-{moving['sub']}", *session, kind), folder / "figures"
    transform = f"{entities}_from-{suffix}_to-{space}_mode-image_xfm"
    image = f"{entities}_space-{space}_{suffix}"
    inverse = f"{entities}_space-{suffix}_desc-{space}_{suffix}"
    return Outputs(
        own / f"{image}.nii.gz",
        own / f"{inverse}.nii.gz",
        own / f"{entities}_space-{space}_dseg.nii.gz",
        own / f"{transform}.{'h5' if deform else 'tfm'}",
        own / f"{transform}.json",
        figures / f"{image}.png",
        figures / f"{image}.svg",
        figures / f"{image}.html",
        figures / f"{image}_preview.json",
        own / f"{image}.json",
        own / f"{inverse}.json",
        fixed_name=uri(pair.fixed),
        moving_name=uri(pair.moving),
    )


def bids_with_reports(pair: Pair, folder: Path, deform: bool = False) -> Outputs:
    """Name outputs as `bids` does, with the figures of a person beside the scans: `sub-01/figures/`."""
    named = bids(pair, folder, deform)
    figures = folder / named.image.relative_to(folder).parts[0] / "figures"
    shown = {name: figures / getattr(named, name).name for name in ("png", "svg", "html", "preview")}
    return replace(named, **shown)


def dataset_of(path: Path) -> Path | None:
    """Return the BIDS dataset of a file: the nearest parent folder with a dataset description."""
    return next((folder for folder in path.absolute().parents if (folder / DESCRIPTION).is_file()), None)


def uri(path: Path) -> str:
    """Return the BIDS URI of a file in a dataset, named by its folder; the path if it is in none.

    A template that comes with stnreg is named by its space, as `MNI152NLin2009aSym`, which means the same anywhere.
    """
    if is_shipped(path):
        return parse_bids(path)[0]["tpl"]
    root = dataset_of(path)
    return str(path) if root is None else f"bids:{link_name(root)}:{path.absolute().relative_to(root).as_posix()}"


def link_name(root: Path) -> str:
    """Return the name of a dataset in `DatasetLinks`.

    Examples
    --------
    >>> link_name(Path("/data/ds-000011"))
    'ds000011'
    """
    return re.sub("[^A-Za-z0-9]", "", root.name) or "raw"


def is_stripped(image: Path) -> bool:
    """Return whether an image is skull-stripped, by its sidecar or its name; raw scans are not."""
    sidecar = image.with_name(image.name.partition(".")[0] + ".json")
    try:
        return bool(json.loads(sidecar.read_text(encoding="utf-8"))["SkullStripped"])
    except (OSError, ValueError, KeyError, TypeError):
        return parse_bids(image)[0].get("desc") == "brain"


def parse_bids(path: Path) -> tuple[dict[str, str], str]:
    """Return the entities of a BIDS file name, in its order, and its suffix.

    Examples
    --------
    >>> parse_bids(Path("sub-01_ses-2_T1w.nii.gz"))
    ({'sub': '01', 'ses': '2'}, 'T1w')
    """
    stem = path.name.partition(".")[0]
    return dict(ENTITY.findall(stem)), re.sub("[^A-Za-z0-9]", "", stem.rpartition("_")[2]) or "image"


def space_of(fixed: Path, moving: dict[str, str]) -> str:
    """Return the label of the fixed image's space, letters and digits alone.

    The name of a template; the suffix of an image of the same person and session; else also the person or session.

    Examples
    --------
    >>> space_of(Path("tpl-MNI152NLin2009cAsym_res-01_T1w.nii.gz"), {"sub": "01"})
    'MNI152NLin2009cAsym'
    >>> space_of(Path("sub-01_T1w.nii.gz"), {"sub": "01"})
    'T1w'
    >>> space_of(Path("sub-01_ses-1_T1w.nii.gz"), {"sub": "01", "ses": "2"})
    'ses1T1w'
    """
    entities, suffix = parse_bids(fixed)
    if "tpl" in entities:
        return entities["tpl"]
    if "sub" not in entities:
        return re.sub("[^A-Za-z0-9]", "", fixed.name.partition(".")[0])
    other = [f"{key}{entities[key]}" for key in ("sub", "ses") if key in entities and entities[key] != moving.get(key)]
    return "".join(other) + suffix
