"""What kind of pair is it? Read from the correlation that an affine leaves between locally normalised images."""

# At 2 mm inside the brain 0.3 to 0.69 is left between two people, whose folds differ; 0.76 and more in one head.
SAME_PERSON_CORRELATION = 0.73
# Skull and scalp of one head in one contrast correlate better than its brain; where they do not, something differs.
HEAD_LOSS = 0.03
NOISE_SHARE = 0.9
CONTRAST_SHARE = 0.9  # T1 to T1 0.97 and more; T1 to FLAIR below 0.7, to T2 negative


def is_same_person(local_correlation: float) -> bool:
    """Tell whether two images show one head.

    Parameters
    ----------
    local_correlation : float
        Inside the brain, after the 2 mm level; 0 to 1.
    """
    return local_correlation >= SAME_PERSON_CORRELATION


def heads_agree(brain_correlation: float, head_correlation: float) -> bool:
    """Tell whether skull and scalp of one person help: whether they fit as well as the brain alone does."""
    return head_correlation >= brain_correlation - HEAD_LOSS


def is_same_contrast(correlation: float, raw_correlation: float) -> bool:
    """Tell whether two images have one contrast: whether intensities agree as they are, without a map between them.

    Parameters
    ----------
    correlation, raw_correlation : float
        Inside the brain, with and without such a map.
    """
    return raw_correlation >= CONTRAST_SHARE * correlation


def is_noise_dominated(fine_correlation: float, coarse_correlation: float) -> bool:
    """Tell whether noise leaves too little of the finest voxels to be worth looking at.

    Parameters
    ----------
    fine_correlation, coarse_correlation : float
        Inside the brain, at the image's own resolution and at 2 mm.
    """
    return fine_correlation < NOISE_SHARE * coarse_correlation
