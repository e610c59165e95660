"""Classify a pair by its local correlation after affine registration: same person, same contrast, noise."""

# Local correlation at 2 mm inside the brain: 0.3 to 0.69 between two people, 0.76 and more within one.
SAME_PERSON_CORRELATION = 0.73
NEARLY = 0.05  # below it, structures that count too may have lowered the correlation of one person
# In one head and one contrast, skull and scalp correlate better than the brain.
HEAD_LOSS = 0.03
# Of the correlation of skull and scalp, that needs no map between the intensities: T1 to FLAIR and stripped brains of
# two contrasts 0.93 and more, T1 to CT 0.91 at most.
HEAD_CONTRAST_SHARE = 0.92
NOISE_SHARE = 0.9
CONTRAST_SHARE = 0.9  # T1 to T1 0.97 and more; T1 to FLAIR below 0.7, to T2 negative


def is_same_person(local_correlation: float) -> bool:
    """Return whether two images show the same person.

    Parameters
    ----------
    local_correlation : float
        Inside the brain, after the 2 mm level; 0 to 1.
    """
    return local_correlation >= SAME_PERSON_CORRELATION


def is_nearly_same_person(local_correlation: float) -> bool:
    """Return whether two images show the same person, or may do so once structures no longer count."""
    return local_correlation >= SAME_PERSON_CORRELATION - NEARLY


def heads_agree(brain_correlation: float, head_correlation: float) -> bool:
    """Return whether skull and scalp fit as well as the brain alone, so that they can be used."""
    return head_correlation >= brain_correlation - HEAD_LOSS


def heads_have_one_contrast(brain: tuple[float, float], head: tuple[float, float]) -> bool:
    """Return whether skull and scalp have one contrast: the brains have, or they need no map between the intensities.

    Where they differ they may correlate better than the brain and still mislead: in a CT, bone and fat end elsewhere.

    Parameters
    ----------
    brain, head : (float, float)
        Correlation inside the brain and of the whole heads, each with and without the intensity map.
    """
    return is_same_contrast(*brain) or head[1] >= HEAD_CONTRAST_SHARE * head[0]


def is_same_contrast(correlation: float, raw_correlation: float) -> bool:
    """Return whether two images have the same contrast: their intensities correlate without a map between them.

    Parameters
    ----------
    correlation, raw_correlation : float
        Inside the brain, with and without the intensity map.
    """
    return raw_correlation >= CONTRAST_SHARE * correlation


def is_noise_dominated(fine_correlation: float, coarse_correlation: float) -> bool:
    """Return whether noise dominates the finest level, so that a coarser one is used.

    Parameters
    ----------
    fine_correlation, coarse_correlation : float
        Inside the brain, at the image's own resolution and at 2 mm.
    """
    return fine_correlation < NOISE_SHARE * coarse_correlation
