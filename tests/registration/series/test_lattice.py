import numpy as np
import pytest

from stnreg.registration.series.lattice import Lattice, bending, block_sums, gather, synthesize

SHAPE = (14, 17, 12)


@pytest.fixture
def lattice():
    return Lattice(SHAPE, 4.0)


def linear(lattice):
    """Return coefficients of u = 0.1 z + 0.2 y - 0.3 x, for all components."""
    place = np.meshgrid(*(np.arange(b.shape[1]) * 4.0 - 4.0 for b in lattice.fine), indexing="ij")
    return np.stack([0.1 * place[0] + 0.2 * place[1] - 0.3 * place[2]] * 3).astype(np.float32)


def test_linear_fields_are_exact_and_do_not_bend(lattice):
    z, y, x = np.meshgrid(*map(np.arange, SHAPE), indexing="ij")
    assert np.abs(lattice.field(linear(lattice)) - (0.1 * z + 0.2 * y - 0.3 * x)).max() < 1e-4
    assert np.abs(bending(linear(lattice))).max() < 1e-4


def test_gather_is_the_adjoint(lattice):
    rng = np.random.default_rng(0)
    c = rng.standard_normal(lattice.zeros().shape).astype(np.float32)
    v = rng.standard_normal((3, *SHAPE)).astype(np.float32)
    there, back = (synthesize(c, lattice.fine) * v).sum(), (c * gather(v, lattice.fine)).sum()
    assert there == pytest.approx(back, rel=1e-4)


def test_blocks_of_two_see_the_mean_of_the_field(lattice):
    c = np.random.default_rng(1).standard_normal(lattice.zeros().shape).astype(np.float32)
    assert np.abs(block_sums(lattice.field(c)) / 8 - synthesize(c, lattice.coarse)[:, :7, :8, :6]).max() < 1e-5


def test_the_bending_energy_is_symmetric_and_positive(lattice):
    rng = np.random.default_rng(2)
    a, b = (rng.standard_normal(lattice.zeros().shape) for _ in range(2))
    assert (bending(a) * b).sum() == pytest.approx((a * bending(b)).sum())
    assert (bending(a) * a).sum() > 0
