"""Every way in which a file of one head is met in the wild, registered to its clean twin, or refused.

`python -m benchmarks.traps` writes each trap from `examples/fixed.nii.gz`, runs `stnreg register` on it, and prints
how far over the head the result is from the truth, mm, or the exit status. Exit status 1 if a trap is neither within
0.3 mm nor refused with 4 as it should be.
"""

import argparse
import contextlib
import gzip
import io
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np

from stnreg.cli import main as stnreg_main
from stnreg.geometry.affine import Parameters, apply_affine, from_parameters, mean_error_mm
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix
from stnreg.images.volume import Volume, load_reference, load_volume, save_volume
from stnreg.resampling.resample import resample
from stnreg.transforms.io.files import load_transform

LIMIT_MM = 0.3
CLEAN = Path(__file__).resolve().parents[1] / "examples" / "fixed.nii.gz"
ELSEWHERE = from_parameters(Parameters((25, -10, 5), (0, 0, 20)), (0, 0, 0))


@dataclass(frozen=True)
class Head:
    """The clean head as nibabel has it: (x, y, z), and its voxel-to-RAS matrix."""

    array: np.ndarray
    affine: Matrix


Write = Callable[[Head, Path], Path]
"""Takes the clean head and a folder, and returns the path of what it wrote there."""


@dataclass(frozen=True)
class Trap:
    """One trap.

    Attributes
    ----------
    write : callable
    outcome : {"aligned", "refused", "judged"}
        Within `LIMIT_MM`; exit 4; or any exit but a defect, where the image shows too little.
    moved : callable, optional
        Takes the clean grid and the trap's, as stnreg reads them; returns the true `fixed_to_moving`. The identity
        where the trap's header is right.
    dof : int
    options : tuple of str
        Of the command.
    is_sampled, is_large : bool
        Whether it shows the head on another lattice; whether it takes gigabytes, and is left out unless `--large`.
    """

    write: Write
    outcome: str = "aligned"
    moved: Callable[[Grid, Grid], Matrix] | None = None
    dof: int = 6
    options: tuple[str, ...] = ()
    is_sampled: bool = False
    is_large: bool = False


def load_head() -> Head:
    """Load the clean head, as int16."""
    image = nibabel.load(CLEAN)
    return Head(np.asarray(image.dataobj).astype(np.int16), image.affine)


def _by_voxels(clean: Grid, trap: Grid) -> Matrix:
    """Return the truth where voxels are the same and the header puts them elsewhere."""
    return trap.index_to_lps @ clean.lps_to_index


def _nifti(array: np.ndarray, affine: Matrix, path: Path, **fields: object) -> Path:
    header = nibabel.Nifti1Header()
    header.set_data_dtype(array.dtype)
    image = nibabel.Nifti1Image(array, affine, header)
    for name, value in fields.items():
        image.header[name] = value
    nibabel.save(image, path)
    return path


def _forms(qform_code: int, sform_code: int) -> Write:
    """Write both forms, the qform wrong."""

    def write(head: Head, folder: Path) -> Path:
        image = nibabel.Nifti1Image(head.array, head.affine)
        image.set_sform(head.affine, sform_code)
        image.set_qform(ELSEWHERE @ head.affine, qform_code)
        nibabel.save(image, folder / "forms.nii.gz")
        return folder / "forms.nii.gz"

    return write


def _no_forms(head: Head, folder: Path) -> Path:
    """Write both codes 0, stored as such files are taken to be: x to the left."""
    stored = nibabel.as_closest_canonical(nibabel.Nifti1Image(head.array, head.affine)).slicer[::-1]
    image = nibabel.Nifti1Image(np.asarray(stored.dataobj), None)
    image.header["pixdim"][1:4] = nibabel.affines.voxel_sizes(stored.affine)
    image.header["qform_code"] = image.header["sform_code"] = 0
    nibabel.save(image, folder / "noforms.nii")
    return folder / "noforms.nii"


def _no_forms_moved(clean: Grid, trap: Grid) -> Matrix:
    """Return the truth for `_no_forms`: the middles on each other, spacing and directions kept."""
    matrix = np.eye(4)
    matrix[:3, 3] = trap.center_lps - clean.center_lps
    return matrix


def _patched(**fields: object) -> Write:
    """Write a sound file, and then other values into its header."""

    def write(head: Head, folder: Path) -> Path:
        path = _nifti(head.array, head.affine, folder / "patched.nii", qform_code=1)
        content = path.read_bytes()
        header = nibabel.Nifti1Header(content[:348])
        for name, value in fields.items():
            header[name] = value
        path.write_bytes(header.binaryblock + content[348:])
        return path

    return write


def _sheared(head: Head, folder: Path) -> Path:
    shear = np.eye(4)
    shear[0, 1], shear[1, 2] = 0.04, -0.03
    image = nibabel.Nifti1Image(head.array, None)
    image.set_sform(shear @ head.affine, 1)
    image.set_qform(None, 0)
    nibabel.save(image, folder / "sheared.nii")
    return folder / "sheared.nii"


def _typed(dtype: str, slope: float = 1.0, intercept: float = 0.0, suffix: str = ".nii") -> Write:
    """Write the head in another type, stored so that slope and intercept give it back."""

    def write(head: Head, folder: Path) -> Path:
        stored = ((head.array - intercept) / slope).round().astype(dtype)
        header = nibabel.Nifti1Header(endianness=">" if dtype.startswith(">") else "<")
        header.set_data_dtype(dtype)
        image = nibabel.Nifti1Image(stored, head.affine, header)
        image.header.set_slope_inter(slope, intercept)
        path = folder / f"typed{suffix}"
        nibabel.save(image, path)
        return path

    return write


def _spoiled(value: float, share: float) -> Write:
    """Write NaN or infinity into the background, or into some voxels of everything."""

    def write(head: Head, folder: Path) -> Path:
        array = head.array.astype(np.float32)
        chosen = array <= 0 if share >= 1 else np.random.default_rng(0).random(array.shape) < share
        array[chosen] = value
        return _nifti(array, head.affine, folder / "spoiled.nii.gz")

    return write


def _shaped(shape: tuple[int, ...]) -> Write:
    return lambda head, folder: _nifti(
        head.array.reshape(head.array.shape + shape), head.affine, folder / "axes.nii.gz"
    )


def _format(suffix: str) -> Write:
    def write(head: Head, folder: Path) -> Path:
        path = folder / f"head{suffix}"
        if suffix in (".mgz", ".img"):
            kind = nibabel.MGHImage if suffix == ".mgz" else nibabel.Nifti1Pair
            nibabel.save(kind(head.array, head.affine), path)
            return path
        import SimpleITK as sitk

        nibabel.save(nibabel.Nifti1Image(head.array, head.affine), folder / "clean.nii")
        sitk.WriteImage(sitk.ReadImage(str(folder / "clean.nii")), str(path), suffix != ".mhd")
        return path

    return write


def _turned(orientation: str) -> Write:
    """Store the same voxels along other axes."""

    def write(head: Head, folder: Path) -> Path:
        image = nibabel.Nifti1Image(head.array, head.affine)
        orientations = nibabel.orientations
        here, there = orientations.io_orientation(head.affine), orientations.axcodes2ornt(orientation)
        turned = image.as_reoriented(orientations.ornt_transform(here, there))
        nibabel.save(turned, folder / f"{orientation}.nii.gz")
        return folder / f"{orientation}.nii.gz"

    return write


def _sampled(spacing: tuple[float, float, float], turn_deg: tuple[float, float, float]) -> Write:
    """Scan the head again on another grid: oblique, thick, fine, coarse."""

    def write(head: Head, folder: Path) -> Path:
        clean = load_volume(CLEAN)
        direction = from_parameters(Parameters(rotation_deg=turn_deg), (0, 0, 0))[:3, :3]
        size = np.ceil(np.ptp(clean.grid.corners_lps(), axis=0) / spacing).astype(int)
        origin = clean.grid.center_lps - (direction * spacing) @ ((size - 1) / 2)
        grid = Grid.from_parts(size, spacing, origin, direction)
        # Thick slices average what is in them.
        layers = max(round(max(spacing) / 2), 1)
        fine_spacing = np.where(np.array(spacing) == max(spacing), max(spacing) / layers, spacing)
        fine_size = np.where(np.array(spacing) == max(spacing), size * layers, size)
        fine_origin = grid.center_lps - (direction * fine_spacing) @ ((fine_size - 1) / 2)
        fine = Grid.from_parts(fine_size, fine_spacing, fine_origin, direction)
        array = resample(clean.array, clean.grid, fine, np.eye(4))
        for axis in range(3):
            ratio = fine.size[axis] // grid.size[axis]
            split = list(array.shape)
            split[2 - axis : 3 - axis] = [grid.size[axis], ratio]
            array = array.reshape(split).mean(axis=3 - axis)
        save_volume(folder / "sampled.nii.gz", array, like=Volume(array, grid))
        return folder / "sampled.nii.gz"

    return write


def _named(name: str) -> Write:
    def write(head: Head, folder: Path) -> Path:
        (folder / name).parent.mkdir(exist_ok=True)
        return _nifti(head.array, head.affine, folder / name)

    return write


def _linked(head: Head, folder: Path) -> Path:
    _nifti(head.array, head.affine, folder / "real.nii.gz")
    (folder / "link.nii.gz").symlink_to(folder / "real.nii.gz")
    return folder / "link.nii.gz"


def _metres(head: Head, folder: Path) -> Path:
    affine = head.affine.copy()
    affine[:3] /= 1000
    return _nifti(head.array, affine, folder / "metres.nii", xyzt_units=1)


def _bytes(change: Callable[[bytes], bytes], suffix: str = ".nii.gz") -> Write:
    """Write the bytes of a sound file, changed."""

    def write(head: Head, folder: Path) -> Path:
        path = _nifti(head.array, head.affine, folder / f"sound{suffix}")
        path.write_bytes(change(path.read_bytes()))
        return path

    return write


def _ten_terabytes(content: bytes) -> bytes:
    header = nibabel.Nifti1Header(content[:348], check=False)
    header.set_data_shape((30000, 30000, 6000))
    return header.binaryblock + content[348:]


def _flip_in_the_middle(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(b ^ 255 for b in content[middle : middle + 4]) + content[middle + 4 :]


def _rgb(head: Head, folder: Path) -> Path:
    array = np.zeros(head.array.shape, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    return _nifti(array, head.affine, folder / "rgb.nii")


def _folder(head: Head, folder: Path) -> Path:
    (folder / "dicom").mkdir()
    return folder / "dicom"


TRAPS = {
    "qform and sform differ, codes 1 and 2": Trap(_forms(1, 2)),
    "qform and sform differ, codes 1 and 4": Trap(_forms(1, 4)),
    "both codes 0": Trap(_no_forms, moved=_no_forms_moved),
    "sheared sform": Trap(_sheared, moved=_by_voxels, dof=12),
    "sform with a code and all zero": Trap(_patched(srow_x=0, srow_y=0, srow_z=0)),
    "qform with a code and no spacing": Trap(_patched(pixdim=(1, 0, 0, 0, 1, 1, 1, 1))),
    "an offset of 0": Trap(_patched(vox_offset=0), "refused"),
    "voxels of no known type": Trap(_patched(datatype=1536, bitpix=128), "refused"),
    "length-1 fourth axis": Trap(_shaped((1,))),
    "length-1 fourth and fifth axis": Trap(_shaped((1, 1))),
    "origin 195 mm off": Trap(
        lambda head, folder: _nifti(head.array, _shift(195) @ head.affine, folder / "off.nii"), moved=_by_voxels
    ),
    "int16 with an offset of -1000": Trap(_typed("<i2", 1, -1000)),
    "int16, negative": Trap(_typed("<i2", -1, 0)),
    "uint8 with slope and intercept": Trap(_typed("u1", 1.5, -3, ".nii.gz")),
    "int8 with slope and intercept": Trap(_typed("i1", 1.5, 150)),
    "uint16": Trap(_typed("<u2")),
    "int32": Trap(_typed("<i4")),
    "uint64": Trap(_typed("<u8")),
    "float32, big-endian": Trap(_typed(">f4")),
    "float64, big-endian": Trap(_typed(">f8", suffix=".nii.gz")),
    "NaN outside the head": Trap(_spoiled(np.nan, 1)),
    "infinity in one voxel of a thousand": Trap(_spoiled(np.inf, 1e-3)),
    ".mgz": Trap(_format(".mgz")),
    ".img with .hdr": Trap(_format(".img")),
    ".nrrd": Trap(_format(".nrrd")),
    ".mha": Trap(_format(".mha")),
    ".mhd with .raw": Trap(_format(".mhd")),
    "stored as PIR": Trap(_turned("PIR")),
    "stored as LAS": Trap(_turned("LAS")),
    "stored as SPL": Trap(_turned("SPL")),
    "oblique": Trap(_sampled((2, 2, 2), (12, -18, 25)), is_sampled=True),
    "slices of 5 mm, pixels of 0.5 mm": Trap(_sampled((0.5, 0.5, 5), (0, 0, 0)), is_sampled=True),
    "512 x 512 x 512 voxels": Trap(_sampled((0.4375, 0.4297, 0.4688), (0, 0, 0)), is_sampled=True, is_large=True),
    "8 x 8 x 8 voxels": Trap(_sampled((28, 28, 30), (0, 0, 0)), outcome="judged"),
    "blanks and dots in the name": Trap(_named("a b/c.d e.nii.gz")),
    "a symbolic link": Trap(_linked),
    "lengths in metres": Trap(_metres),
    "a series": Trap(
        lambda head, folder: _nifti(np.stack([head.array] * 2, -1), head.affine, folder / "series.nii"), "refused"
    ),
    "a series, its mean": Trap(
        lambda head, folder: _nifti(np.stack([head.array] * 2, -1), head.affine, folder / "series.nii"),
        options=("--volume", "mean"),
    ),
    "colour": Trap(_rgb, "refused"),
    "complex": Trap(
        lambda head, folder: _nifti(head.array.astype(np.complex64), head.affine, folder / "complex.nii"), "refused"
    ),
    "two axes": Trap(lambda head, folder: _nifti(head.array[:, :, 20], head.affine, folder / "flat.nii"), "refused"),
    "one slice": Trap(lambda head, folder: _nifti(head.array[:, :, 20:21], head.affine, folder / "one.nii"), "refused"),
    "constant": Trap(
        lambda head, folder: _nifti(np.ones_like(head.array), head.affine, folder / "constant.nii"), "refused"
    ),
    "NaN everywhere": Trap(
        lambda head, folder: _nifti(np.full(head.array.shape, np.nan, "f4"), head.affine, folder / "nan.nii"), "refused"
    ),
    "gzip cut short": Trap(_bytes(lambda content: content[: len(content) * 2 // 3]), "refused"),
    "gzip without its end": Trap(_bytes(lambda content: content[:-8]), "refused"),
    "gzip damaged in the middle": Trap(_bytes(_flip_in_the_middle), "refused"),
    "named .nii.gz and not packed": Trap(_bytes(gzip.decompress), "refused"),
    "named .nii and packed": Trap(_bytes(gzip.compress, ".nii"), "refused"),
    "cut short": Trap(_bytes(lambda content: content[: len(content) // 2], ".nii"), "refused"),
    "wrong magic": Trap(_bytes(lambda content: content[:344] + b"x+1\0" + content[348:], ".nii"), "refused"),
    "a header that promises 10 TB": Trap(_bytes(_ten_terabytes, ".nii"), "refused"),
    "a packed header that promises 10 TB": Trap(
        _bytes(lambda content: gzip.compress(_ten_terabytes(gzip.decompress(content)))), "refused"
    ),
    "no bytes": Trap(_bytes(lambda content: b""), "refused"),
    "a page of HTML": Trap(_bytes(lambda content: b"<html>not found</html>" * 40), "refused"),
    "a folder": Trap(_folder, "refused"),
}


def _shift(mm: float) -> Matrix:
    matrix = np.eye(4)
    matrix[:3, 3] = mm / np.sqrt(3)
    return matrix


def run_trap(trap: Trap, folder: Path, threads: int = 1) -> tuple[int, float]:
    """Register the clean head to a trap; return the exit status, and how far the result is off over the head, mm."""
    path = trap.write(load_head(), folder)
    out = folder / "out.tfm"
    line = ["register", CLEAN, path, "-t", out, "--dof", trap.dof, "--threads", threads, *trap.options]
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            stnreg_main([str(word) for word in line])
    except SystemExit as end:
        status = int(end.code or 0)
    if not out.exists():
        return status, np.nan
    clean = load_volume(CLEAN)
    truth = np.eye(4) if trap.moved is None else trap.moved(clean.grid, load_reference(path).grid)
    index = np.argwhere(clean.array[::7, ::7, ::7] > 20)[:, ::-1] * 7
    return status, mean_error_mm(load_transform(out), truth, apply_affine(clean.grid.index_to_lps, index))


def is_as_it_should_be(trap: Trap, status: int, error_mm: float) -> bool:
    """Tell whether a trap came out as its `outcome` says."""
    if trap.outcome == "refused":
        return status == 4
    return status in (0, 3, 4) if trap.outcome == "judged" else status == 0 and error_mm < LIMIT_MM


def main() -> int:
    """Run all, print a line each; 1 if one is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="traps whose names hold this")
    parser.add_argument("--large", action="store_true", help="also what takes gigabytes")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    failures = 0
    chosen = {name: trap for name, trap in TRAPS.items() if (arguments.only or "") in name}
    chosen = {name: trap for name, trap in chosen.items() if arguments.large or not trap.is_large}
    for name, trap in chosen.items():
        with tempfile.TemporaryDirectory() as folder:
            status, error_mm = run_trap(trap, Path(folder), arguments.threads)
        well = is_as_it_should_be(trap, status, error_mm)
        failures += not well
        found = "refused" if status == 4 else f"{error_mm:.4f} mm"
        found += {0: "", 3: ", judged a failure", 4: ""}.get(status, f", exit status {status}")
        print(f"{name:40} {found}{'' if well else '  NOT AS IT SHOULD BE'}", flush=True)
    print(f"{len(chosen)} traps, {failures} not as they should be")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
