"""What kind of pair is it? Read from the correlation that an affine leaves between locally normalised images."""

# At 2 mm inside the brain about 0.5 to 0.65 is left between two people, whose folds differ; in one head over 0.75.
SAME_PERSON_CORRELATION = 0.75
# Skull and scalp of one head in one contrast correlate better than its brain; where they do not, something differs.
HEAD_LOSS = 0.03


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
