"""Run the commands that documents quote, and put what they print under them.

    python benchmarks/refresh.py docs/model-cards.md [--only WORD]

A quoted figure is a fenced `text` block right after a line `<!-- printed by: COMMAND -->`; where a command prints
markdown, what stands between that line and a line `<!-- end -->`. Commands run from the root of the repository with
this interpreter as `python`; `$PAIRS` is the folder that the shared `dev_pairs.py` wrote.
"""

import argparse
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
# What was printed never reaches into the next block, also where it is empty yet.
BEGIN, OLD = r"(<!-- printed by: (?P<command>[^\n]*) -->\n", r"(?P<old>(?:(?!<!-- printed by: ).)*?)"
BLOCKS = (
    re.compile(BEGIN + r"```text\n)" + OLD + r"(```\n)", re.DOTALL),
    re.compile(BEGIN + r"\n)" + OLD + r"(\n?<!-- end -->\n)", re.DOTALL),
)


def ending(end: str) -> str:
    """Return the end of a block, with an empty line before a mark."""
    return end if end.startswith(("```", "\n")) else f"\n{end}"


def printed(command: str) -> str:
    """Return what a command prints on stdout; its failure is ours."""
    words = shlex.split(command)
    if words[0] == "python":
        words[0] = sys.executable
    line = shlex.join(words).replace("'$PAIRS'", '"$PAIRS"')
    return subprocess.run(line, shell=True, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout


def main() -> None:
    """Refresh every document named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("documents", nargs="+", type=Path)
    parser.add_argument("--only", default="", help="run only commands that contain this")
    options = parser.parse_args()

    def fill(match: re.Match[str]) -> str:
        command = match["command"]
        print(f"{'running' if options.only in command else 'keeping'}: {command}", file=sys.stderr)
        text = printed(command) if options.only in command else match["old"]
        return match[1] + text + (ending(match[4]) if text else match[4])

    for document in options.documents:
        text = document.read_text(encoding="utf-8")
        for block in BLOCKS:
            text = block.sub(fill, text)
        document.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
