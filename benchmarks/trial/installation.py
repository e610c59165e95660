"""What the full and the small installation take, whether pip finds them whole, and whether their outputs are the same.

    python -m benchmarks.trial.installation

Each is made of this tree in a new virtual environment, by the command in README.md; pip fetches about 1 GB. The outputs
are those of `stnreg register` for the pair in `examples/`.
"""

import os
import subprocess
import sys
import tempfile
import venv
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parents[2]
FLAGS = {"full": [], "small": ["--no-compile"]}
"""Of `pip install`."""
LARGE_MB = 50
"""Packages from this size on are named."""


def install(kind: str, folder: Path) -> Path:
    """Make an environment with that installation; return the folder of its programs."""
    venv.create(folder, with_pip=True)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    subprocess.run(
        [programs / "python", "-m", "pip", "install", "-q", *FLAGS[kind], ROOT],
        check=True,
        env=outside() | {"STNREG_INSTALL": kind},
    )
    return programs


def outside() -> dict[str, str]:
    """Return the environment without what would lead a program to this tree."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}


def size_mb(place: Path) -> float:
    """Return the size of a file or of all files of a folder, MB."""
    files = [place] if place.is_file() else place.rglob("*")
    return sum(file.lstat().st_size for file in files if file.is_file() and not file.is_symlink()) / 1e6


def large_packages(folder: Path) -> str:
    """Name the packages that take most."""
    (packages,) = folder.rglob("site-packages")
    sizes = sorted(((size_mb(place), place.name) for place in packages.iterdir()), reverse=True)
    return ", ".join(f"{name.removesuffix('.libs')} {size:.0f}" for size, name in sizes if size >= LARGE_MB)


def digest_of_example(programs: Path, folder: Path) -> str:
    """Register the pair in `examples/`; return a digest of its image and transform."""
    pair = [ROOT / "examples/fixed.nii.gz", ROOT / "examples/moving.nii.gz"]
    out = folder / "moved.nii.gz"
    subprocess.run([programs / "stnreg", "register", *pair, "-q", "-o", out], check=True, env=outside(), cwd=folder)
    return sha256(out.read_bytes() + (folder / "moved.tfm").read_bytes()).hexdigest()


def main() -> None:
    """Install both, one after the other."""
    digests = []
    for kind in FLAGS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "venv"
            programs = install(kind, folder)
            print(f"{kind:6s} {size_mb(folder):4.0f} MB, of which {large_packages(folder)}")
            checked = subprocess.run(
                [programs / "python", "-m", "pip", "check"], env=outside(), capture_output=True, text=True
            )
            print(f"       pip check: {checked.stdout.strip()}")
            digests.append(digest_of_example(programs, Path(name)))
    print(f"image and transform of the pair in examples/: {'the same bytes' if len({*digests}) == 1 else 'DIFFERENT'}")
    sys.exit(len({*digests}) - 1)


if __name__ == "__main__":
    main()
