import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from stnreg.core.threads import default_threads, map_threads, one_blas_thread


def _blas_threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_blas_is_held_and_let_go():
    before = _blas_threads()
    with one_blas_thread():
        held = _blas_threads()
    assert before
    assert set(held) == {1}
    assert _blas_threads() == before


def test_the_last_of_two_lets_blas_go():
    before = _blas_threads()
    first, second = one_blas_thread(), one_blas_thread()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert set(_blas_threads()) == {1}
    second.__exit__(None, None, None)
    assert _blas_threads() == before


@pytest.mark.parametrize("owner", ["main", "worker"])
def test_blocks_of_several_threads_hold_and_let_go(owner):
    before = _blas_threads()
    begun, end = threading.Event(), threading.Event()

    def hold():
        with one_blas_thread():
            begun.set()
            end.wait(10)

    worker = threading.Thread(target=hold)
    if owner == "main":  # was the first to set OpenBLAS, and lives on
        threadpool_limits(max(before), user_api="blas")
    worker.start()
    begun.wait(10)
    assert set(_blas_threads()) == {1}
    with one_blas_thread():
        end.set()
        worker.join()
        assert set(_blas_threads()) == {1}
    assert _blas_threads() == before


def test_the_main_thread_gives_back_what_a_waiting_worker_has_limited():
    before = _blas_threads()
    with ThreadPoolExecutor(1) as pool:  # its thread lives on, as those do that encode images
        block = one_blas_thread()
        pool.submit(block.__enter__).result()
        assert set(_blas_threads()) == {1}
        block.__exit__(None, None, None)
        assert _blas_threads() == before


def test_threads_are_the_grant_and_not_the_load(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert default_threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "2")
    assert default_threads() == 2
    monkeypatch.delenv("SLURM_CPUS_PER_TASK")
    assert default_threads() >= 1


def test_work_is_divided_and_comes_back_in_order():
    meet = threading.Barrier(2, timeout=20)  # passed by two threads that work at one time

    def meeting(a, b):
        meet.wait()
        return a + b, threading.get_ident()

    found = map_threads(meeting, [1, 2, 3, 4], [10, 20, 30, 40], threads=2)
    assert [value for value, _ in found] == [11, 22, 33, 44]
    assert map_threads(lambda _: threading.get_ident(), [1, 2], threads=1) == [threading.get_ident()] * 2
    assert map_threads(lambda _: threading.get_ident(), [1], threads=2) == [threading.get_ident()]
    assert map_threads(abs, [], threads=2) == []
