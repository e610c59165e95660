from stnreg.registration.refine.pair_type import (
    heads_agree,
    heads_have_one_contrast,
    is_noise_dominated,
    is_same_contrast,
    is_same_person,
)


def test_rules():
    assert is_same_person(0.95)
    assert not is_same_person(0.6)
    assert heads_agree(0.95, 0.96)
    assert not heads_agree(0.95, 0.5)
    assert is_noise_dominated(0.8, 0.96)
    assert not is_noise_dominated(0.95, 0.98)
    assert is_same_contrast(0.9, 0.89)
    assert not is_same_contrast(0.9, -0.88)


def test_heads_of_one_contrast():
    # As measured: correlations of brain and head, with a map between the intensities and without.
    assert heads_have_one_contrast((0.78, 0.75), (0.80, 0.60))  # two noisy T1 scans
    assert heads_have_one_contrast((0.71, -0.40), (0.95, 0.88))  # T1 and T2 with a tumour, stripped
    assert heads_have_one_contrast((0.755, 0.488), (0.758, 0.715))  # T1 and FLAIR
    assert not heads_have_one_contrast((0.807, 0.651), (0.814, 0.742))  # T1 and CT
