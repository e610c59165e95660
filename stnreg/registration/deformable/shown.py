"""In which images two heads are compared: as they were scanned, and, where contrasts differ, both as in T1 too."""

from dataclasses import replace

import numpy as np

from stnreg.registration.deformable.appearance import Appearance, AsT1
from stnreg.registration.deformable.instance import InstanceSettings, Shown, rising, signs
from stnreg.registration.deformable.meeting import Surroundings
from stnreg.registration.deformable.velocity import VelocityNetwork

Array = np.ndarray
Heads = tuple[Appearance, Appearance]
ONE_CONTRAST = (0.85, 0.95)
"""`signs` of two heads that have been brought together: up to the first they differ in contrast, from the second on
they do not. Two T1 scans of two scanners have 0.98 to 0.99, T1 with T2, FLAIR or PD at most 0.7."""
T1_SHARE = 0.5
"""How much of what two images in T1 say is followed: all of it leads too far where the network has guessed."""
IS_T1 = 0.9  # from such `signs` with what the network makes of it, a scan is a T1 scan itself


def in_t1_too(heads: Heads, met: Heads, network: VelocityNetwork, region: Surroundings) -> Heads:
    """Return both heads with what they look like in T1, where their contrasts differ; else as they are.

    A head that is a T1 scan already stays what it is: the network would take its detail.

    Parameters
    ----------
    heads, met : tuple of Appearance
        Fixed and moving, as they are and where they meet.
    network : VelocityNetwork
    region : Surroundings
    """
    if network.synthesis is None or rising(_signs(*met, region), *ONE_CONTRAST) == 1:
        return heads
    fixed, moving = heads
    in_t1 = _in_t1(fixed, network, region), _in_t1(moving, network, region)
    if in_t1[0].image is fixed.image and in_t1[1].image is moving.image:  # two T1 scans that hardly correlate
        return heads
    return replace(fixed, in_t1=in_t1[0]), replace(moving, in_t1=in_t1[1])


def comparable(met: Heads, region: Surroundings, settings: InstanceSettings) -> list[Shown]:
    """Return in which images the intensities of two heads are followed, and how much of what they say."""
    fixed, moving = (region.cut(head.image) for head in met)
    alike = _signs(*met, region)
    share = 1.0 if settings.of_one_sign is None else rising(abs(alike), *settings.of_one_sign)
    shown = [Shown(fixed, moving, share)]
    if met[0].in_t1 is not None and met[1].in_t1 is not None:
        share = T1_SHARE * (1 - rising(alike, *ONE_CONTRAST))
        a, b = met[0].in_t1, met[1].in_t1
        known = np.sqrt(region.cut(a.certainty * b.certainty))
        shown.append(Shown(region.cut(a.image), region.cut(b.image), share, known))
    return shown


def _in_t1(head: Appearance, network: VelocityNetwork, region: Surroundings) -> AsT1:
    made = network.in_t1(head)
    weight = region.cut(head.brain & ~head.excluded).astype(np.float32)
    alike = signs(region.cut(head.image), region.cut(made.image), weight)
    return AsT1(head.image, np.ones_like(head.image)) if alike >= IS_T1 else made


def _signs(fixed: Appearance, moving: Appearance, region: Surroundings) -> float:
    weight = region.cut(fixed.brain & moving.brain).astype(np.float32)
    return signs(region.cut(fixed.image), region.cut(moving.image), weight)
