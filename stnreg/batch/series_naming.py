"""Names of the outputs of a series: one folder of plain names, or the entities of BIDS derivatives."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from stnreg.batch.naming import folder_name, parse_bids
from stnreg.datasets.subject_table import Subject

RESERVED = ("template", "visits", "series", "index", "changes", "between", "results")


@dataclass(frozen=True)
class VisitOutputs:
    """The files of one visit: resampled, its transform in two formats, and the map of its volume change."""

    image: Path
    transform: Path
    lta: Path
    change_map: Path


@dataclass(frozen=True)
class SeriesOutputs:
    """The paths of all possible outputs of one series.

    Attributes
    ----------
    template, table, document, page, changes : Path
        The template, the table of visits, JSON, the page, and the table of changes.
    visits : dict of str to VisitOutputs
    between : dict of (str, str) to Path
        The transform from each visit to each later one.
    entities : dict of str to str
        The name of each space in BIDS words: `ses01`, `subject`.
    """

    template: Path
    table: Path
    document: Path
    page: Path
    changes: Path
    visits: dict[str, VisitOutputs] = field(default_factory=dict)
    between: dict[tuple[str, str], Path] = field(default_factory=dict)
    entities: dict[str, str] = field(default_factory=dict)


Scheme = Callable[[Subject, Path], SeriesOutputs]


def in_folder(subject: Subject, folder: Path) -> SeriesOutputs:
    """Name the outputs of one series in a folder of its own: `template.nii.gz`, `VISIT.nii.gz`, `VISIT.tfm`."""
    stems = {}
    for name in subject.sessions:
        stem = folder_name(name)
        stems[name] = f"visit-{stem}" if stem in RESERVED else stem
    return SeriesOutputs(
        folder / "template.nii.gz",
        folder / "visits.tsv",
        folder / "series.json",
        folder / "index.html",
        folder / "changes.tsv",
        {
            name: VisitOutputs(
                folder / f"{stem}.nii.gz",
                folder / f"{stem}.tfm",
                folder / f"{stem}.lta",
                folder / f"{stem}_logjacobian.nii.gz",
            )
            for name, stem in stems.items()
        },
        {
            (a, b): folder / "between" / f"{stems[a]}_to_{stems[b]}.tfm"
            for a, b in combinations(subject.sessions, 2)
        },
        {name: _word(name) for name in subject.sessions},
    )  # fmt: skip


def plain(subject: Subject, folder: Path) -> SeriesOutputs:
    """Name the outputs of one of many subjects: those of `in_folder`, in a folder for each."""
    return in_folder(subject, folder / folder_name(subject.id))


def bids(subject: Subject, folder: Path) -> SeriesOutputs:
    """Name outputs as BIDS derivatives do: `sub-01/anat/sub-01_from-ses01_to-subject_mode-image_xfm.tfm`."""
    own = folder / subject.id / "anat"
    suffix = parse_bids(subject.images[0])[1]
    words = {name: _word(name) for name in subject.sessions}

    def transform(source: str, target: str, ending: str) -> Path:
        return own / f"{subject.id}_from-{source}_to-{target}_mode-image_xfm.{ending}"

    return SeriesOutputs(
        own / f"{subject.id}_desc-template_{suffix}.nii.gz",
        own / f"{subject.id}_visits.tsv",
        own / f"{subject.id}_series.json",
        folder / "figures" / f"{subject.id}.html",
        own / f"{subject.id}_changes.tsv",
        {
            name: VisitOutputs(
                own / f"{subject.id}_{name}_space-subject_{suffix}.nii.gz",
                transform(word, "subject", "tfm"),
                transform(word, "subject", "lta"),
                own / f"{subject.id}_{name}_space-subject_desc-logjacobian_map.nii.gz",
            )
            for name, word in words.items()
        },
        {(a, b): transform(words[a], words[b], "tfm") for a, b in combinations(subject.sessions, 2)},
        words,
    )


def _word(name: str) -> str:
    """Return a name as the value of an entity: letters and digits alone."""
    return "".join(letter for letter in name if letter.isascii() and letter.isalnum()) or "visit"
