"""What makes a folder of outputs a BIDS derivative dataset: its description, its README and its .bidsignore."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stnreg import __version__
from stnreg.batch.naming import DESCRIPTION, dataset_of, link_name
from stnreg.core.files import write_atomic
from stnreg.datasets.pair_table import Pair

BIDS_VERSION = "1.9.0"
NOT_BIDS = ("results.csv", ".results.csv.lock", "index.html", "figures", "*_xfm.*")
"""Outputs that the BIDS specification does not define; written to `.bidsignore`."""
README = """Registrations by stnreg.

*_from-X_to-Y_mode-image_xfm.tfm   the transform from image X to the space Y, as ITK and ANTs have it: it maps points of
                                   Y to points of X, LPS mm (.h5: with a warp)
*_from-X_to-Y_mode-image_xfm.json  the result: parameters, quality assessment, versions
*_space-Y_*.nii.gz                 images resampled to Y
results.csv, index.html            a table, and a page to decide on, of all registrations
"""


def write_dataset(folder: Path, pairs: Sequence[Pair], *, name: str = "", not_bids: Sequence[str] = ()) -> None:
    """Write the files of a derivative dataset that was made from these pairs; a README that is there is kept.

    Parameters
    ----------
    folder : Path
    pairs : sequence of Pair
    name : str
        Of the dataset; by default made of the name of the folder.
    not_bids : sequence of str
        Patterns of further outputs that the BIDS specification does not define.

    Raises
    ------
    DataError
        If a file cannot be written.
    """
    described = describe_dataset(pairs, name or f"stnreg: registrations in {folder.name}")
    write_atomic(folder / DESCRIPTION, (json.dumps(described, indent=2) + "\n").encode())
    write_atomic(folder / ".bidsignore", "\n".join((*NOT_BIDS, *not_bids, "")).encode())
    if not (folder / "README").exists():
        write_atomic(folder / "README", README.encode())


def describe_dataset(pairs: Sequence[Pair], name: str) -> dict[str, Any]:
    """Return the `dataset_description.json` of derivatives that were made from these pairs."""
    roots = sorted({root for p in pairs for image in (p.fixed, p.moving) if (root := dataset_of(image)) is not None})
    return {
        "Name": name,
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [
            {
                "Name": "stnreg",
                "Version": __version__,
                "Description": "Registration of each image to one fixed image, by network and refinement",
            }
        ],
        "SourceDatasets": [_source(root) for root in roots],
        "DatasetLinks": {link_name(root): root.as_uri() for root in roots},
    }


def _source(root: Path) -> dict[str, str]:
    """Return where a dataset lies, and the DOI that it says it has."""
    try:
        said = json.loads((root / DESCRIPTION).read_text(encoding="utf-8")).get("DatasetDOI")
    except (OSError, ValueError, AttributeError):
        said = None
    return {"URL": root.as_uri()} | ({"DOI": said} if isinstance(said, str) else {})
