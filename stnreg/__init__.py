"""Affine and deformable registration of 3-D brain MRI by a spatial transformer network.

The Python API: `register`, `register_series`, `encode`, `apply_transform`, `evaluate`. Each is imported when it is
first used, so `import stnreg` stays fast; type checkers read `__init__.pyi`. Coordinates are LPS mm. Transforms map
fixed points to moving points.
"""

import os
from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Since 1.29 onnxruntime sends reports of use to Microsoft unless it is told not to before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_PUBLIC = {
    "register": "stnreg.registration.register",
    "encode": "stnreg.registration.encoding",
    "EncodedImage": "stnreg.registration.encoding",
    "RegistrationOptions": "stnreg.registration.options",
    "RegistrationResult": "stnreg.registration.result",
    "register_series": "stnreg.registration.series.register",
    "SeriesOptions": "stnreg.registration.series.options",
    "SeriesResult": "stnreg.registration.series.result",
    "Affine": "stnreg.transforms.affine",
    "look": "stnreg.registration.encoding",  # earlier names, kept for scripts
    "Seen": "stnreg.registration.encoding",
    "Registration": "stnreg.registration.result",
    "apply_transform": "stnreg.resampling.apply",
    "evaluate": "stnreg.evaluation.evaluate",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'stnreg' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
