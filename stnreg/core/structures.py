"""The structures that the anatomy network maps, with their codes in two label schemes.

Sides are the patient's. FreeSurfer codes come from `FreeSurferColorLUT.txt` (with the extended head
labels of SynthSeg's maps: 136/163 and 137/164 are choroid plexus), DLMUSE codes from the MUSE atlas list
(Doshi et al., NeuroImage 2016). DLMUSE numbers the right side even and the left side one higher from 100 on.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Structure:
    """One structure: its name, side, group for the coarse network, and its codes in both schemes."""

    name: str
    side: str  # "L", "R" or "-" for the midline
    group: str  # group of the pose network, which has fewer maps
    freesurfer: tuple[int, ...]
    dlmuse: tuple[int, ...]

    @property
    def label(self) -> str:
        """`name` with its side, for example `caudate_L`."""
        return self.name if self.side == "-" else f"{self.name}_{self.side}"

    @property
    def is_parcel(self) -> bool:
        """Whether it is only a part of a label in FreeSurfer's scheme."""
        return not self.freesurfer


# name: (FreeSurfer left, right), (DLMUSE left, right)
_DEEP = {
    "lateral_ventricle": (((4, 5, 136, 137), (43, 44, 163, 164)), ((52, 50), (51, 49))),
    "thalamus": (((10,), (49,)), ((60,), (59,))),
    "caudate": (((11,), (50,)), ((37,), (36,))),
    "putamen": (((12,), (51,)), ((58,), (57,))),
    "pallidum": (((13,), (52,)), ((56,), (55,))),
    "hippocampus": (((17,), (53,)), ((48,), (47,))),
    "amygdala": (((18,), (54,)), ((32,), (31,))),
    "accumbens": (((26,), (58,)), ((30, 75), (23, 76))),
    "ventral_dc": (((28,), (60,)), ((62,), (61,))),
    "cerebellum_white": (((7,), (46,)), ((41,), (40,))),
    "cerebellum_cortex": (((8,), (47,)), ((39,), (38,))),
}
_MIDLINE = {
    "third_ventricle": ((14,), (4,)),
    "fourth_ventricle": ((15,), (11,)),
    "brain_stem": ((16,), (35,)),
    "vermis": ((), (71, 72, 73)),
    "corpus_callosum": ((), (95, 89, 90)),
}
# Parts of FreeSurfer's cortex (3, 42): group, DLMUSE codes of the right side.
_CORTEX = {
    "orbitofrontal": ("frontal", (104, 120, 124, 136, 146, 178)),
    "superior_frontal": ("frontal", (140, 152, 190)),
    "middle_frontal": ("frontal", (142,)),
    "inferior_frontal": ("frontal", (118, 162, 164, 204)),
    "precentral": ("frontal", (150, 182, 192)),
    "insula": ("insula", (102, 112, 172, 174)),
    "anterior_cingulate": ("cingulate", (100, 186)),
    "posterior_cingulate": ("cingulate", (138, 166)),
    "postcentral": ("parietal", (148, 176)),
    "superior_parietal": ("parietal", (198,)),
    "supramarginal": ("parietal", (194,)),
    "angular": ("parietal", (106,)),
    "precuneus": ("parietal", (168,)),
    "temporal_pole": ("temporal", (202,)),
    "superior_temporal": ("temporal", (180, 184, 200, 206)),
    "middle_temporal": ("temporal", (154,)),
    "inferior_temporal": ("temporal", (122, 132)),
    "parahippocampal": ("temporal", (116, 170)),
    "medial_occipital": ("occipital", (108, 114, 134, 160)),
    "lateral_occipital": ("occipital", (128, 144, 156, 196)),
}
# Parts of FreeSurfer's white matter (2, 41): DLMUSE codes of the right side.
_WHITE = {
    "frontal_white": (81,),
    "occipital_white": (83,),
    "parietal_white": (85,),
    "temporal_white": (87,),
    "internal_capsule": (91, 93),
}

FREESURFER_CORTEX = {"L": (3,), "R": (42,)}
FREESURFER_WHITE = {"L": (2, 25, 30), "R": (41, 57, 62)}


def _table() -> tuple[Structure, ...]:
    rows = [Structure("background", "-", "background", (), ())]
    for name, (freesurfer, dlmuse) in _DEEP.items():
        for k, side in enumerate("LR"):
            rows.append(Structure(name, side, f"{name}_{side}", freesurfer[k], dlmuse[k]))
    for name, (fs_codes, muse_codes) in _MIDLINE.items():
        rows.append(Structure(name, "-", name, fs_codes, muse_codes))
    for name, (group, right) in _CORTEX.items():
        for side in "LR":
            codes = tuple(c + 1 for c in right) if side == "L" else right
            rows.append(Structure(name, side, f"{group}_{side}", (), codes))
    for name, right in _WHITE.items():
        for side in "LR":
            codes = tuple(c + 1 for c in right) if side == "L" else right
            rows.append(Structure(name, side, f"white_{side}", (), codes))
    return tuple(rows)


STRUCTURES: tuple[Structure, ...] = _table()
NAMES: tuple[str, ...] = tuple(s.label for s in STRUCTURES)
GROUPS: tuple[str, ...] = tuple(dict.fromkeys(s.group for s in STRUCTURES))
GROUP_OF: np.ndarray = np.array([GROUPS.index(s.group) for s in STRUCTURES])  # structure index -> group index


def mirror_index() -> np.ndarray:
    """Return, for each structure, the index of the same structure on the other side (itself on the midline)."""
    other = {"L": "R", "R": "L", "-": "-"}
    where = {(s.name, s.side): k for k, s in enumerate(STRUCTURES)}
    return np.array([where[s.name, other[s.side]] for s in STRUCTURES])


def dlmuse_lookup(size: int = 256) -> np.ndarray:
    """Return a table from DLMUSE code to structure index; other codes become background (0)."""
    table = np.zeros(size, np.uint8)
    for k, s in enumerate(STRUCTURES):
        table[list(s.dlmuse)] = k
    return table
