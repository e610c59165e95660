"""Writers of the unusual files that scanners and tools leave behind: each writes the clean head in one such way."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np

from stnreg.geometry.affine import Parameters, from_parameters
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix
from stnreg.images.volume import Volume, load_volume, save_volume
from stnreg.resampling.resample import resample

CLEAN = Path(__file__).resolve().parents[2] / "examples" / "fixed.nii.gz"
ELSEWHERE = from_parameters(Parameters((25, -10, 5), (0, 0, 20)), (0, 0, 0))


@dataclass(frozen=True)
class Head:
    """The clean head as nibabel has it: (x, y, z), and its voxel-to-RAS matrix."""

    array: np.ndarray
    affine: Matrix


Write = Callable[[Head, Path], Path]
"""Takes the clean head and a folder, and returns the path of what it wrote there."""


def load_head() -> Head:
    """Load the clean head, as int16."""
    image = nibabel.load(CLEAN)
    return Head(np.asarray(image.dataobj).astype(np.int16), image.affine)


def nifti(array: np.ndarray, affine: Matrix, path: Path, **fields: object) -> Path:
    header = nibabel.Nifti1Header()
    header.set_data_dtype(array.dtype)
    image = nibabel.Nifti1Image(array, affine, header)
    for name, value in fields.items():
        image.header[name] = value
    nibabel.save(image, path)
    return path


def two_forms(qform_code: int, sform_code: int) -> Write:
    """Write both forms, the qform wrong."""

    def write(head: Head, folder: Path) -> Path:
        image = nibabel.Nifti1Image(head.array, head.affine)
        image.set_sform(head.affine, sform_code)
        image.set_qform(ELSEWHERE @ head.affine, qform_code)
        nibabel.save(image, folder / "forms.nii.gz")
        return folder / "forms.nii.gz"

    return write


def no_forms(head: Head, folder: Path) -> Path:
    """Write both codes 0, stored as such files are taken to be: x to the left."""
    stored = nibabel.as_closest_canonical(nibabel.Nifti1Image(head.array, head.affine)).slicer[::-1]
    image = nibabel.Nifti1Image(np.asarray(stored.dataobj), None)
    image.header["pixdim"][1:4] = nibabel.affines.voxel_sizes(stored.affine)
    image.header["qform_code"] = image.header["sform_code"] = 0
    nibabel.save(image, folder / "noforms.nii")
    return folder / "noforms.nii"


def patched(**fields: object) -> Write:
    """Write a sound file, and then other values into its header."""

    def write(head: Head, folder: Path) -> Path:
        path = nifti(head.array, head.affine, folder / "patched.nii", qform_code=1)
        content = path.read_bytes()
        header = nibabel.Nifti1Header(content[:348])
        for name, value in fields.items():
            header[name] = value
        path.write_bytes(header.binaryblock + content[348:])
        return path

    return write


def sheared(head: Head, folder: Path) -> Path:
    shear = np.eye(4)
    shear[0, 1], shear[1, 2] = 0.04, -0.03
    image = nibabel.Nifti1Image(head.array, None)
    image.set_sform(shear @ head.affine, 1)
    image.set_qform(None, 0)
    nibabel.save(image, folder / "sheared.nii")
    return folder / "sheared.nii"


def typed(dtype: str, slope: float = 1.0, intercept: float = 0.0, suffix: str = ".nii") -> Write:
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


def spoiled(value: float, share: float) -> Write:
    """Write NaN or infinity into the background, or into some voxels of everything."""

    def write(head: Head, folder: Path) -> Path:
        array = head.array.astype(np.float32)
        chosen = array <= 0 if share >= 1 else np.random.default_rng(0).random(array.shape) < share
        array[chosen] = value
        return nifti(array, head.affine, folder / "spoiled.nii.gz")

    return write


def with_axes(shape: tuple[int, ...]) -> Write:
    return lambda head, folder: nifti(head.array.reshape(head.array.shape + shape), head.affine, folder / "axes.nii.gz")


def in_format(suffix: str) -> Write:
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


def reoriented(orientation: str) -> Write:
    """Store the same voxels along other axes."""

    def write(head: Head, folder: Path) -> Path:
        image = nibabel.Nifti1Image(head.array, head.affine)
        orientations = nibabel.orientations
        here, there = orientations.io_orientation(head.affine), orientations.axcodes2ornt(orientation)
        turned = image.as_reoriented(orientations.ornt_transform(here, there))
        nibabel.save(turned, folder / f"{orientation}.nii.gz")
        return folder / f"{orientation}.nii.gz"

    return write


def rescanned(spacing: tuple[float, float, float], turn_deg: tuple[float, float, float]) -> Write:
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


def named(name: str) -> Write:
    def write(head: Head, folder: Path) -> Path:
        (folder / name).parent.mkdir(exist_ok=True)
        return nifti(head.array, head.affine, folder / name)

    return write


def linked(head: Head, folder: Path) -> Path:
    nifti(head.array, head.affine, folder / "real.nii.gz")
    (folder / "link.nii.gz").symlink_to(folder / "real.nii.gz")
    return folder / "link.nii.gz"


def metres(head: Head, folder: Path) -> Path:
    affine = head.affine.copy()
    affine[:3] /= 1000
    return nifti(head.array, affine, folder / "metres.nii", xyzt_units=1)


def changed_bytes(change: Callable[[bytes], bytes], suffix: str = ".nii.gz") -> Write:
    """Write the bytes of a sound file, changed."""

    def write(head: Head, folder: Path) -> Path:
        path = nifti(head.array, head.affine, folder / f"sound{suffix}")
        path.write_bytes(change(path.read_bytes()))
        return path

    return write


def ten_terabytes(content: bytes) -> bytes:
    header = nibabel.Nifti1Header(content[:348], check=False)
    header.set_data_shape((30000, 30000, 6000))
    return header.binaryblock + content[348:]


def flip_in_the_middle(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(b ^ 255 for b in content[middle : middle + 4]) + content[middle + 4 :]


def rgb(head: Head, folder: Path) -> Path:
    array = np.zeros(head.array.shape, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    return nifti(array, head.affine, folder / "rgb.nii")


def empty_folder(head: Head, folder: Path) -> Path:
    (folder / "dicom").mkdir()
    return folder / "dicom"
