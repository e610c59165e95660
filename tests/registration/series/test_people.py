from stnreg.registration.series.people import Evidence, groups, reason_left_out

SAME, OTHER = Evidence(True, True, 0.95), Evidence(True, False, 0.4)
FAILED = Evidence(False, False, 0.1, ("the score is 0.2",))


def test_the_largest_group_comes_first():
    pairs = {(0, 1): OTHER, (0, 2): SAME, (0, 3): SAME, (1, 2): OTHER, (1, 3): FAILED, (2, 3): SAME}
    assert groups(pairs, 4) == [[0, 2, 3], [1]]
    assert "another person" in reason_left_out(1, [0, 2, 3], pairs)


def test_a_chain_of_pairs_is_one_group():
    assert groups({(0, 1): SAME, (1, 2): SAME, (0, 2): FAILED}, 3)[0] == [0, 1, 2]


def test_a_failed_visit_has_the_reason_of_its_pairs():
    pairs = {(0, 1): SAME, (0, 2): FAILED, (1, 2): FAILED}
    assert "the score is 0.2" in reason_left_out(2, [0, 1], pairs)


def test_of_equal_groups_the_better_one_is_kept():
    pairs = {(0, 1): SAME, (2, 3): Evidence(True, True, 0.99), (0, 2): OTHER}
    assert groups(pairs, 4)[0] == [2, 3]
