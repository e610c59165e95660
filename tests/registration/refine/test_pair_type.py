from stnreg.registration.refine.pair_type import heads_agree, is_noise_dominated, is_same_contrast, is_same_person


def test_rules():
    assert is_same_person(0.95)
    assert not is_same_person(0.6)
    assert heads_agree(0.95, 0.96)
    assert not heads_agree(0.95, 0.5)
    assert is_noise_dominated(0.8, 0.96)
    assert not is_noise_dominated(0.95, 0.98)
    assert is_same_contrast(0.9, 0.89)
    assert not is_same_contrast(0.9, -0.88)
