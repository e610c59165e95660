import platform

import numpy as np
import pytest

from stnreg.core.memory import give_back


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc, which can be told to give memory back")
def test_freed_memory_is_given_back():
    def resident_mb():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096 / 1e6

    pieces = [np.ones(10_000) for _ in range(2000)]  # 80 kB each: below what the C library maps one by one
    keep = pieces[::100]
    del pieces
    before = resident_mb()
    give_back()
    after = resident_mb()
    assert after < before - 50
    assert len(keep) == 20
