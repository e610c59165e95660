"""What the build adds to pyproject.toml: files beside the package, and dependencies of one of two installations.

The weights, the templates and the man pages go into the wheel by pattern, so that neither list can drift.
Weights lie at the top of the tree and become `stnreg/weights`; training leftovers beside them
(`.safetensors`, `.ckpt`) stay out, and so do networks for one column of the paper's tables
(`NAME-synthetic`, `weights/related`) and its relatives (`sloan-NAME`, `airnet`). An editable install needs neither: it
reads the tree itself.
"""

import os
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

SWITCH = "STNREG_INSTALL"
TEMPLATES = ("*.nii.gz", "*.npz", "NOTICE-*.txt")
RELATIVES = ("sloan-", "airnet")


class ShipWeightsAndPages(BuildHookInterface):
    """Hatchling hook, named in pyproject.toml."""

    def initialize(self, version: str, build_data: dict) -> None:
        """Add networks, sidecars, templates and `man/*.1` to what hatchling packs."""
        top = Path(self.root)
        for page in sorted(top.glob("man/*.1")):
            build_data["shared_data"][str(page)] = f"share/man/man1/{page.name}"
        if version != "editable":
            for file in sorted([*top.glob("weights/*.onnx"), *top.glob("weights/*.json")]):
                if "-synthetic" in file.stem or file.stem.startswith(RELATIVES):
                    continue
                build_data["force_include"][str(file)] = f"stnreg/weights/{file.name}"
            for file in sorted(path for pattern in TEMPLATES for path in top.glob(f"templates/{pattern}")):
                build_data["force_include"][str(file)] = f"stnreg/templates/{file.name}"


class Dependencies(MetadataHookInterface):
    """Hatchling hook, named in pyproject.toml, where the lists are."""

    def update(self, metadata: dict) -> None:
        """Add the dependencies of the installation that the environment names: `full`, or `small`."""
        lists = self.config["dependencies"]
        name = os.environ.get(SWITCH) or "full"
        if name not in ("full", "small"):
            raise ValueError(f"{SWITCH}={name}: expected full or small")
        metadata["dependencies"] = [*lists["all"], *lists[name]]
