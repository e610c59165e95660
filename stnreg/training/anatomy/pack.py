"""Pack scans with label maps, and label maps alone, into small arrays for painting.

A packed subject is one `.npz`: `classes` (uint8 index into `stnreg.core.structures.STRUCTURES`), either `tissue`
(uint8, the original code, for painting) or `image` (uint8 scan), and `template_to_index`, the similarity from
template mm to (x, y, z) voxel indices. The template is the mean, left-right symmetric
configuration of the structures' centroids.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nibabel.nifti1 import Nifti1Image

from stnreg.core.files import open_atomic
from stnreg.core.structures import (
    FREESURFER_CORTEX,
    FREESURFER_WHITE,
    NAMES,
    STRUCTURES,
    dlmuse_lookup,
    mirror_index,
)
from stnreg.geometry.affine import apply_affine, invert
from stnreg.geometry.fitting import fit_affine, fit_similarity

VOTERS = 12  # number of scans for the majority vote of parcels
MIN_VOXELS = 20
VALIDATION_ANATOMIES = ("anatomy_13", "anatomy_14", "anatomy_15")
VALIDATION_SCANS = 18  # the last by name


@dataclass
class Subject:
    """One subject before packing: arrays are (z, y, x); `index_to_ras` acts on (x, y, z)."""

    name: str
    classes: np.ndarray
    index_to_ras: np.ndarray
    image: np.ndarray | None = None
    tissue: np.ndarray | None = None

    def centroids(self) -> np.ndarray:
        """Return (structures, 3) centroids in LPS mm; NaN where a structure is absent or tiny."""
        return class_centroids(self.classes, self.index_to_ras)


def class_centroids(classes: np.ndarray, index_to_ras: np.ndarray) -> np.ndarray:
    """Return the centroid of every structure, (structures, 3) LPS mm; NaN below `MIN_VOXELS` voxels."""
    z, y, x = np.nonzero(classes)
    found = classes[z, y, x]
    count = np.bincount(found, minlength=len(NAMES)).astype(float)
    sums = np.stack([np.bincount(found, weights=v, minlength=len(NAMES)) for v in (x, y, z)], 1)
    count[count < MIN_VOXELS] = np.nan
    ras = (sums / count[:, None]) @ index_to_ras[:3, :3].T + index_to_ras[:3, 3]
    return ras * (-1, -1, 1)


def load_scan(image_path: Path, labels_path: Path) -> Subject:
    """Load a scan with a DLMUSE label map on the same grid."""
    scan, labels = Nifti1Image.from_filename(image_path), Nifti1Image.from_filename(labels_path)
    data = scan.get_fdata(dtype=np.float32).T
    top = np.percentile(data[data > 0], 99.8)
    image = np.clip(data / top * 255, 0, 255).astype(np.uint8)
    classes = dlmuse_lookup()[np.asanyarray(labels.dataobj).astype(np.int16).T]
    return Subject(image_path.name.split("_")[0], classes, scan.affine, image=image)


def load_anatomy(path: Path, voters: list[Subject]) -> Subject:
    """Load a FreeSurfer-coded label map; its parcels come from a majority vote of affinely aligned scans."""
    volume = Nifti1Image.from_filename(path)
    codes = np.asanyarray(volume.dataobj).astype(np.int16).T
    tissue, index_to_ras = _crop(codes, volume.affine)
    classes = np.zeros(tissue.shape, np.uint8)
    for k, structure in enumerate(STRUCTURES):
        if structure.freesurfer:
            classes[np.isin(tissue, structure.freesurfer)] = k
    name = path.name.split(".")[0]
    subject = Subject(
        name, classes, index_to_ras, tissue=np.where(tissue >= 256, tissue - 300, tissue).astype(np.uint8)
    )
    _vote_parcels(subject, tissue, voters)
    return subject


def _crop(codes: np.ndarray, index_to_ras: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Crop empty margins, except one voxel of background."""
    low = [max(int(np.flatnonzero(codes.any(axis=tuple(k for k in range(3) if k != a)))[0]) - 1, 0) for a in range(3)]
    high = [int(np.flatnonzero(codes.any(axis=tuple(k for k in range(3) if k != a)))[-1]) + 2 for a in range(3)]
    shifted = index_to_ras.copy()
    shifted[:3, 3] += index_to_ras[:3, :3] @ np.array(low[::-1], float)
    return codes[low[0] : high[0], low[1] : high[1], low[2] : high[2]], shifted


def _vote_parcels(subject: Subject, tissue: np.ndarray, voters: list[Subject]) -> None:
    """Set parcels of cortex, white matter and cerebellum in `subject.classes` by a majority vote of aligned scans."""
    mine = subject.centroids()
    shared = np.array([not s.is_parcel for s in STRUCTURES])
    voters_to_mine = []
    for voter in voters:
        theirs = voter.centroids()
        good = shared & ~np.isnan(mine[:, 0]) & ~np.isnan(theirs[:, 0])
        voters_to_mine.append(fit_affine(theirs[good], mine[good]))
    for codes, allowed in _parcelled():
        where = np.argwhere(np.isin(tissue, codes))
        lps = _lps_of(where[:, ::-1], subject.index_to_ras)
        votes = np.zeros((len(where), len(allowed)), np.float32)
        for voter, to_mine in zip(voters, voters_to_mine, strict=True):
            found = _classes_at(voter, apply_affine(invert(to_mine), lps))
            votes += found[:, None] == np.array(allowed)
        # Without votes, the nearest parcel centroid is used.
        empty = votes.sum(1) == 0
        middles = [apply_affine(t, v.centroids()[allowed]) for v, t in zip(voters, voters_to_mine, strict=True)]
        distance = np.linalg.norm(lps[empty, None] - np.nanmean(middles, axis=0)[None], axis=2)
        votes[empty, np.nanargmin(distance, axis=1)] = 1
        subject.classes[tuple(where.T)] = np.array(allowed, np.uint8)[votes.argmax(1)]


def _parcelled() -> list[tuple[tuple[int, ...], list[int]]]:
    """Return FreeSurfer codes that stand for several structures, with the indices of those structures."""
    index = {s.label: k for k, s in enumerate(STRUCTURES)}
    white = [
        k
        for k, s in enumerate(STRUCTURES)
        if s.is_parcel and (s.group.startswith("white") or s.name == "corpus_callosum")
    ]
    out: list[tuple[tuple[int, ...], list[int]]] = []
    for side in "LR":
        cortex = [k for k, s in enumerate(STRUCTURES) if s.is_parcel and s.side == side and k not in white]
        cerebellum = index[f"cerebellum_cortex_{side}"]
        out.append((FREESURFER_CORTEX[side], cortex))
        out.append((FREESURFER_WHITE[side], [k for k in white if STRUCTURES[k].side in (side, "-")]))
        out.append((STRUCTURES[cerebellum].freesurfer, [index["vermis"], cerebellum]))
    return out


def _lps_of(index: np.ndarray, index_to_ras: np.ndarray) -> np.ndarray:
    return apply_affine(index_to_ras, index.astype(float)) * (-1, -1, 1)


def _classes_at(subject: Subject, lps: np.ndarray) -> np.ndarray:
    """Return the class at the nearest voxel of each LPS point; background outside."""
    index = np.rint(apply_affine(invert(subject.index_to_ras), lps * (-1, -1, 1))).astype(int)
    inside = np.all((index >= 0) & (index < np.array(subject.classes.shape[::-1])), axis=1)
    found = np.zeros(len(lps), np.uint8)
    found[inside] = subject.classes[tuple(index[inside, ::-1].T)]
    return found


def mean_present(stack: list[np.ndarray]) -> np.ndarray:
    """Return the mean over subjects of (structures, 3) centroids, counting those that have the structure."""
    present = ~np.isnan(stack)
    count = present.sum(0)
    return np.where(count > 0, np.where(present, stack, 0).sum(0) / np.maximum(count, 1), np.nan)


def mean_template(centroids: list[np.ndarray], rounds: int = 5) -> np.ndarray:
    """Return the symmetric mean configuration, (structures, 3) LPS mm, centred on its own mean (Procrustes)."""
    mirror = mirror_index()
    flip = np.array([-1.0, 1, 1])
    stack = list(centroids) + [c[mirror] * flip for c in centroids]
    template = mean_present([c - np.nanmean(c[1:], axis=0) for c in stack])
    for _ in range(rounds):
        moved = []
        for c in stack:
            good = ~np.isnan(c[:, 0]) & ~np.isnan(template[:, 0])
            c_to_template = fit_similarity(c[good], template[good])
            moved.append(c @ c_to_template[:3, :3].T + c_to_template[:3, 3])
        mean = mean_present(moved)
        size = np.sqrt(np.nansum((template - np.nanmean(template, axis=0)) ** 2))
        mean -= np.nanmean(mean, axis=0)
        template = mean * size / np.sqrt(np.nansum(mean**2))
        template = (template + template[mirror] * flip) / 2
    template[0] = np.nan
    return template


def save_subject(subject: Subject, template: np.ndarray, folder: Path) -> None:
    """Write `folder/NAME.npz`; see the module docstring for its arrays."""
    mine = subject.centroids()
    good = ~np.isnan(mine[:, 0]) & ~np.isnan(template[:, 0])
    template_to_lps = fit_similarity(template[good], mine[good])
    lps_to_ras = np.diag([-1.0, -1, 1, 1])
    template_to_index = np.linalg.inv(subject.index_to_ras) @ lps_to_ras @ template_to_lps
    arrays = {"classes": subject.classes, "template_to_index": template_to_index}
    arrays |= {"image": subject.image} if subject.image is not None else {"tissue": subject.tissue}
    with open_atomic(folder / f"{subject.name}.npz") as stream:
        np.savez(stream, **arrays)


def split(folder: Path, validation: int = VALIDATION_SCANS) -> tuple[list[str], list[str]]:
    """Return the names of packed training and validation subjects; the last `validation` scans by name are kept."""
    names = sorted(p.stem for p in folder.glob("*.npz"))
    scans = [n for n in names if not n.startswith("anatomy")]
    anatomies = [n for n in names if n.startswith("anatomy")]
    training = scans[:-validation] + [n for n in anatomies if n not in VALIDATION_ANATOMIES]
    return training, [n for n in names if n not in training]


def pack(root: Path, folder: Path, validation: int = VALIDATION_SCANS) -> None:
    """Pack all subjects, also those for validation, and `template.npy` into `folder`.

    Parameters
    ----------
    root : Path
        `root/ixi` has `*_T1.nii.gz` with `*_labels.nii.gz` (DLMUSE), `root/labelmaps` FreeSurfer-coded maps.
    folder : Path
        Created if missing.
    validation : int
        Scans, the last by name, that are not used for the template or the parcels.
    """
    folder.mkdir(parents=True, exist_ok=True)
    images = sorted((root / "ixi").glob("*_T1.nii.gz"))
    scans = [load_scan(p, p.with_name(p.name.replace("_T1", "_labels"))) for p in images]
    training = scans[:-validation] or scans
    voters = training[:: max(len(training) // VOTERS, 1)][:VOTERS]
    anatomies = [load_anatomy(p, voters) for p in sorted((root / "labelmaps").glob("*.nii.gz"))]
    old = [a for a in anatomies if a.name not in VALIDATION_ANATOMIES]
    # Anatomies have the same total weight as scans: there are few, but they cover age and disease.
    template = mean_template([s.centroids() for s in training] + [a.centroids() for a in old] * 4)
    with open_atomic(folder / "template.npy") as stream:
        np.save(stream, template)
    for subject in scans + anatomies:
        save_subject(subject, template, folder)
