"""Training: torch and disk. A plain loop, the tasks it trains, checkpoints and the export to ONNX."""

from importlib.util import find_spec

from stnreg.errors import UsageProblem

NEEDED = ("torch", "onnx", "onnxscript", "safetensors")


def require_training() -> None:
    """Make sure that what training needs is installed.

    Raises
    ------
    UsageProblem
        Naming what is missing and the extra that brings it.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise UsageProblem(f"training needs {', '.join(missing)}: pip install 'stnreg[train]'")
