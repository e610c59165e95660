from stnreg.threads import default_threads


def test_threads_are_the_grant_and_not_the_load(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert default_threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "2")
    assert default_threads() == 2
    monkeypatch.delenv("SLURM_CPUS_PER_TASK")
    assert default_threads() >= 1
