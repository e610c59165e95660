"""One peer on one pair as a process of its own: read, register, resample, write. What `speed.py` times.

    python benchmarks/speed/peer.py ants-fast|greedy|elastix|niimath FIXED MOVING OUT.nii.gz THREADS

Settings are those of `stnreg baseline --print-recipe`, and nothing but the peer is loaded.
"""

import os
import shutil
import sys
from pathlib import Path

from stnreg.baselines.recipes import RECIPES


def ants_fast(fixed: str, moving: str, out: str, threads: int) -> None:
    """ANTs' AffineFast through antspyx."""
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(threads)
    import ants

    f, m = ants.image_read(fixed), ants.image_read(moving)
    found = ants.registration(f, m, **RECIPES["ants-fast"].settings)
    ants.image_write(found["warpedmovout"], out)


def greedy(fixed: str, moving: str, out: str, threads: int) -> None:
    """Greedy through picsl_greedy."""
    from picsl_greedy import Greedy3D

    s, matrix = RECIPES["greedy"].settings, out.replace(".nii.gz", ".mat")
    program = Greedy3D()
    program.execute(
        f"-d 3 -a -dof 12 -threads {threads} {s['start']} -n {s['iterations']} -m {' '.join(s['metric'])} "
        f"-i {fixed} {moving} -o {matrix}"
    )
    program.execute(f"-d 3 -threads {threads} -rf {fixed} -rm {moving} {out} -r {matrix}")


def elastix(fixed: str, moving: str, out: str, threads: int) -> None:
    """Run elastix through itk-elastix."""
    import itk

    parameters = itk.ParameterObject.New()
    for name in RECIPES["elastix"].settings["parameter_maps"]:
        parameters.AddParameterMap(parameters.GetDefaultParameterMap(name))
    method = itk.ElastixRegistrationMethod.New(itk.imread(fixed, itk.F), itk.imread(moving, itk.F))
    method.SetParameterObject(parameters)
    method.SetLogToConsole(False)
    method.SetNumberOfThreads(threads)
    method.UpdateLargestPossibleRegion()
    itk.imwrite(method.GetOutput(), out, compression=True)


def niimath(fixed: str, moving: str, out: str, threads: int) -> None:
    """Run niimath: this process becomes it."""
    program = shutil.which("niimath") or str(Path(sys.executable).with_name("niimath"))
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.execv(program, [program, moving, "-allineate", fixed, *RECIPES["niimath"].settings["options"], out])


PEERS = {"ants-fast": ants_fast, "greedy": greedy, "elastix": elastix, "niimath": niimath}

if __name__ == "__main__":
    PEERS[sys.argv[1]](*sys.argv[2:5], int(sys.argv[5]))
