"""Pairs of many images with one fixed image: from files, folders, patterns or a BIDS dataset."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from glob import glob, has_magic
from pathlib import Path

from stnreg.datasets.pair_table import Pair
from stnreg.datasets.scans import images_in
from stnreg.errors import DataError
from stnreg.images.dicom import is_dicom
from stnreg.images.readers import is_image_name
from stnreg.images.suffixes import stem


def find_images(words: Iterable[str], output: Path) -> list[Path]:
    """Return the images that words of a command line stand for, each once.

    Parameters
    ----------
    words : iterable of str
        A file; a folder: the images in it, without label maps and masks, or its DICOM series; or a pattern as
        `'sub-*/anat/*_T1w.nii.gz'` (`**` for any folders), which also works in quotes.
    output : Path
        The folder of the outputs; what a pattern finds in it is left out.

    Raises
    ------
    DataError
        If a word stands for no image.
    """
    found: dict[Path, None] = {}
    for word in words:
        for path in _images_of(word):
            if output.absolute() not in path.absolute().parents:
                found[path] = None
    return list(found)


def pair_with_fixed(images: Sequence[Path], fixed: Path) -> list[Pair]:
    """Pair images, as moving ones, with one fixed image; each is named by its file, see `names_of`."""
    return [Pair(fixed, path, name) for path, name in zip(images, names_of(images), strict=True)]


def names_of(images: Sequence[Path]) -> list[str]:
    """Return a name for each image: of its file, with the folders above it where files have the same name.

    Examples
    --------
    >>> names_of([Path("sub-01_T1w.nii.gz"), Path("b.mgz")])
    ['sub-01_T1w', 'b']
    >>> names_of([Path("in/ann/t1.nii"), Path("in/bob/t1.nii")])
    ['ann_t1', 'bob_t1']
    """
    parts = [(*path.absolute().parts[1:-1], stem(path)) for path in images]
    names = [known[-1] for known in parts]
    deepest = max((len(known) for known in parts), default=0)
    for depth in range(2, deepest + 1):
        repeated = {name for name, count in Counter(names).items() if count > 1}
        if not repeated:
            break
        names = [
            "_".join(known[-depth:]) if name in repeated else name for known, name in zip(parts, names, strict=True)
        ]
    return _numbered(names)


def _numbered(names: list[str]) -> list[str]:
    """Number what is still equal, as `a/b_c` and `a_b/c`, or `t1.nii` and `t1.mgz`."""
    taken: set[str] = set()
    for place, name in enumerate(names):
        number = 1
        while names[place] in taken:
            number += 1
            names[place] = f"{name}-{number}"
        taken.add(names[place])
    return names


def _images_of(word: str) -> list[Path]:
    path = Path(word)
    if has_magic(word) and not path.exists():
        matched = [Path(name) for name in sorted(glob(os.path.expanduser(word), recursive=True))]
        images = [image for path in matched for image in (_images_in(path) if path.is_dir() else [path])]
        images = [path for path in images if path.is_dir() or is_image_name(path)]
        if not images:
            raise DataError(f"{word}: no image has a name like this.")
        return images
    if not path.is_dir():
        return [path]  # a file that is missing is an error of its pair alone
    images = _images_in(path)
    if not images:
        raise DataError(f"{path}: no image in this folder. Of those below it give a pattern: '{path}/*/*.nii.gz'")
    return images


def _images_in(folder: Path) -> list[Path]:
    """Return the images in a folder; the folder itself if it holds a DICOM series."""
    return images_in(folder) or ([folder] if is_dicom(folder) else [])
