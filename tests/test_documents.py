"""Every block of code in the README and in docs/ runs, in its document's order, in a folder of its own.

In a document, comments that a reader does not see steer this:

`<!-- with: a.nii.gz=fixed, b.nii.gz=moving -->` lays out files: the two example heads, `labels` of the moving one.
`<!-- before: COMMAND -->` runs first, to make what is too long or too dull to show.
`<!-- needs: flirt -->` before a block: it runs where that program or Python package is found.
`<!-- not run: REASON -->` before a block: it never runs here.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from stnreg.images.volume import load_volume, save_volume

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"((?:<!--[^\n]*-->\n)*)^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}


@dataclass(frozen=True)
class Code:
    """One block: its language, its text, and what it is said to need."""

    language: str
    text: str
    needs: tuple[str, ...]


def code_in(text: str) -> list[Code]:
    """Return the blocks that are to run."""
    found = [Code("sh", command, ()) for command in re.findall(r"<!-- before: ([^\n]*) -->", text)]
    for comments, language, body in BLOCK.findall(text):
        if language in RUN and "<!-- not run:" not in comments:
            needs = re.findall(r"<!-- needs: ([\w.-]+)", comments)
            found.append(Code(language, body, tuple(needs)))
    return found


def lay_out(text: str, folder: Path) -> None:
    """Put the files that a document is said to work with into a folder."""
    for line in re.findall(r"<!-- with: ([^\n]*) -->", text):
        for item in line.split(","):
            name, _, what = item.strip().partition("=")
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if what == "labels":
                head = load_volume(EXAMPLES / "moving.nii.gz")
                bright = np.percentile(head.array, (60, 90))
                save_volume(path, np.digitize(head.array, bright).astype(np.uint8), like=head, dtype="same")
            else:
                shutil.copy(EXAMPLES / f"{what}.nii.gz", path)


def is_here(need: str) -> bool:
    return shutil.which(need) is not None or importlib.util.find_spec(need) is not None


def test_blocks_are_found_with_what_they_need():
    text = "<!-- needs: fsl -->\n```sh\na\n```\n\n```text\nb\n```\n"
    text += "<!-- not run: no -->\n```sh\nc\n```\n```python\nd\n```\n"
    assert code_in(text) == [Code("sh", "a\n", ("fsl",)), Code("python", "d\n", ())]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_code_of_a_document_runs(path, tmp_path):
    text = path.read_text(encoding="utf-8")
    blocks = code_in(text)
    lay_out(text, tmp_path)
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    missing = {need for block in blocks for need in block.needs if not is_here(need)}
    for block in blocks:
        if missing & set(block.needs):
            continue
        done = subprocess.run(
            [*RUN[block.language], block.text],
            cwd=tmp_path,
            env=os.environ | {"PATH": beside},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{path.name}:\n{block.text}\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}"
    if missing:
        pytest.skip(f"all ran but the blocks whose needs are not here: {', '.join(sorted(missing))}")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    made = re.findall(r"--(?:png|svg) (\S+)", text)  # by a command on this page, which may not have run yet
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        there = path.parent / target
        is_made = any((ROOT / one) == there for one in made)
        assert "://" in target or there.exists() or is_made, f"{path.name} links to {target}"
