"""Training: the loop, its tasks, checkpoints, and export to ONNX."""

from importlib.util import find_spec

from stnreg.errors import UsageProblem

NEEDED = ("torch", "onnx", "onnxscript", "safetensors")


def require_training() -> None:
    """Check that the packages for training are installed.

    Raises
    ------
    UsageProblem
        Names the missing package and the extra that installs it.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise UsageProblem(f"training needs {', '.join(missing)}: pip install 'stnreg[train]'")
