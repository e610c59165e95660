"""Templates by name: those that come with stnreg, and those in the cache of TemplateFlow. Nothing is downloaded."""

import os
import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from stnreg.errors import DataError
from stnreg.images.suffixes import NIFTI

PACKAGE = Path(__file__).parents[1]
FOLDERS = (PACKAGE / "templates", PACKAGE.parent / "templates")
"""In a wheel; in a checkout."""
FILES = {"MNI152": "tpl-MNI152NLin2009aSym_res-01_desc-brain_T1w.nii.gz"}
"""The templates that come with stnreg."""
ABOUT = {"MNI152": "MNI152 2009a symmetric, T1, brain, 1 mm; comes with stnreg"}
ALIASES = {"MNI152NLin2009aSym": "MNI152"}
NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(:[a-z]+-[A-Za-z0-9+]+)*")
ENTITY_KEYS = {"res": "res", "resolution": "res", "cohort": "cohort", "desc": "desc", "suffix": "suffix"}
HOW_TO_FETCH = (
    "Fetch a template of TemplateFlow once: pip install 'stnreg[templateflow]', then templateflow get {name} --res 1 "
    "--suffix T1w. `stnreg register --list-templates` lists what is here."
)


@dataclass(frozen=True)
class Template:
    """A template that is here.

    Attributes
    ----------
    name : str
    path : Path
    about : str
        One line for people.
    """

    name: str
    path: Path
    about: str


@dataclass(frozen=True)
class Located:
    """The file of an image argument.

    Attributes
    ----------
    path : Path
    warnings : tuple of str
        A file or folder of the same name as a template, which is not what is used.
    """

    path: Path
    warnings: tuple[str, ...] = ()


def locate(image: str | os.PathLike[str]) -> Located:
    """Return the file of an image argument: that of a template if it is the name of one, else the path itself.

    A name is a word without a folder and without the suffix of an image, as `MNI152`; for a template of TemplateFlow
    it may be followed by entities, as `MNIPediatricAsym:cohort-2:res-1`. A template goes before a file of the same
    name in the current folder, with a warning, so that a command means the same wherever it runs; `./MNI152` is the
    file.

    Raises
    ------
    DataError
        If it looks like the name of a template that is not here, and there is no such file.
    """
    text = os.fspath(image)
    path = Path(text)
    if not NAME.fullmatch(text):
        return Located(path)
    found = find_template(text)
    if found is not None:
        note = f"{text}: the template {found.name} is used, not the file of this name here; ./{text} is the file."
        return Located(found.path, (note,) if path.exists() else ())
    if not path.exists():
        raise DataError(_unknown(text))
    return Located(path)


def find_template(name: str) -> Template | None:
    """Return a template by its name; None if it is not here.

    Raises
    ------
    DataError
        If several images of TemplateFlow have this name, as those of cohorts do, or the name has an unknown entity.
    """
    own = ALIASES.get(name, name)
    if own in FILES:
        return Template(own, _folder() / FILES[own], ABOUT[own])
    plain, *entities = name.split(":")
    images = _in_cache(plain)
    if not images:
        return None
    wanted = dict(_entity(name, text) for text in entities)
    return Template(name, _one(name, images, wanted), "TemplateFlow")


def templates_here() -> list[Template]:
    """Return all templates that can be used by name."""
    own = [Template(name, _folder() / file, ABOUT[name]) for name, file in FILES.items()]
    root = cache()
    names = sorted(p.name.removeprefix("tpl-") for p in root.glob("tpl-*") if p.is_dir()) if root.is_dir() else []
    return own + [
        Template(name, images[0], f"TemplateFlow, {len(images)} T1w image{'s' * (len(images) > 1)}")
        for name in names
        if (images := [path for path in _in_cache(name) if _entities(path).get("suffix") == "T1w"])
    ]


def is_shipped(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is a template that comes with stnreg."""
    found = Path(path)
    return found.name in FILES.values() and found.parent in FOLDERS


def cache() -> Path:
    """Return the folder in which the package templateflow keeps what it has fetched."""
    home = os.environ.get("TEMPLATEFLOW_HOME")
    if home:
        return Path(home)
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "templateflow" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "templateflow"


def _folder() -> Path:
    for candidate in FOLDERS:
        if (candidate / FILES["MNI152"]).is_file():
            return candidate
    raise DataError(f"{FOLDERS[0]}: no templates in this installation; install stnreg again")


def _in_cache(name: str) -> list[Path]:
    """Return the 3-D images of a template that were fetched; TemplateFlow keeps empty files for all others."""
    folder = cache() / f"tpl-{name}"
    found = (path for suffix in NIFTI for path in folder.rglob(f"tpl-{name}_*{suffix}"))
    return sorted(path for path in found if path.is_file() and path.stat().st_size > 0)


def _one(name: str, images: list[Path], wanted: dict[str, str]) -> Path:
    """Choose the image that has the entities, T1w and the highest resolution unless they say otherwise."""
    wanted = {"suffix": "T1w"} | wanted
    fits = [path for path in images if all(_matches(_entities(path).get(k), v) for k, v in wanted.items())]
    if not fits:
        there = ", ".join(path.name for path in images[:5])
        raise DataError(
            f"{name}: TemplateFlow has fetched no such image of this template, only {there}. "
            + HOW_TO_FETCH.format(name=name.partition(":")[0])
        )
    cohorts = sorted({_entities(path).get("cohort", "") for path in fits})
    if len(cohorts) > 1:
        told = ", ".join(f"{name}:cohort-{cohort}" for cohort in cohorts if cohort)
        raise DataError(f"{name}: this template has several cohorts. Choose one: {told}")
    # The whole head before a part of it; then the first resolution, which is the finest.
    return min(fits, key=lambda path: (len(_entities(path)), _entities(path).get("res", ""), path.name))


def _entities(path: Path) -> dict[str, str]:
    stem, _, suffix = path.name.partition(".")[0].rpartition("_")
    return dict(re.findall(r"(?:^|_)([a-z]+)-([A-Za-z0-9+]+)", stem)) | {"suffix": suffix}


def _entity(name: str, text: str) -> tuple[str, str]:
    key, _, value = text.partition("-")
    if key not in ENTITY_KEYS:
        raise DataError(f"{name}: expected entities out of {', '.join(ENTITY_KEYS)}, such as res-1; got {text}")
    return ENTITY_KEYS[key], value


def _matches(value: str | None, wanted: str) -> bool:
    """Compare an entity; `res-1` is `res-01`."""
    return value is not None and (value == wanted or value.lstrip("0") == wanted.lstrip("0") != "")


def _unknown(text: str) -> str:
    name = text.partition(":")[0]
    known = {one.name.lower(): one.name for one in templates_here()} | {alias.lower(): alias for alias in ALIASES}
    near = get_close_matches(name.lower(), known, n=1, cutoff=0.75)
    meant = f" Did you mean {known[near[0]]}?" if near else ""
    fetch = "" if near and len(near[0]) == len(name) else f" {HOW_TO_FETCH.format(name=name)}"
    return f"{text}: there is no such file, and no template of this name here.{meant}{fetch}"
