"""What would keep stnreg from being installed or imported elsewhere than on Linux, as far as Linux can tell."""

import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from stnreg.core import files

ROOT = Path(__file__).parents[1]
POSIX = ("fcntl", "resource", "pwd", "grp", "termios", "pty", "tty")
IMPORT_ALL = f"""
import builtins, importlib, pkgutil, sys
import stnreg
ordinary = builtins.__import__
def guarded(name, *rest, **more):
    asking = (rest[0] if rest else more.get("globals")) or {{}}
    if name in {POSIX} and asking.get("__name__", "").startswith("stnreg"):
        raise ImportError(f"{{asking['__name__']}} imports {{name}}")
    return ordinary(name, *rest, **more)
builtins.__import__ = guarded
count = 0
for module in pkgutil.walk_packages(stnreg.__path__, "stnreg."):
    if module.name.endswith("__main__"):
        continue
    try:
        importlib.import_module(module.name)
        count += 1
    except ImportError as error:
        extras = ("torch", "onnx", "safetensors", "dask", "distributed")
        if not (error.name or "").startswith(extras) and "pip install" not in str(error):
            raise
print(count)
"""


def test_every_module_is_imported_without_what_only_posix_has():
    run = subprocess.run([sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) > 200


def test_the_command_line_starts_without_what_only_posix_has():
    """Other packages may ask for these modules too, as asyncio does; a command line needs none of them."""
    code = f"import sys\nfor name in {POSIX}: sys.modules[name] = None\n"
    code += "from stnreg.cli import main\nmain(['batch', '--help'])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_nothing_that_is_packed_is_a_link_or_has_a_name_that_windows_refuses():
    packed = [
        path for name in ("stnreg", "weights", "templates", "man", "examples") for path in (ROOT / name).rglob("*")
    ]
    assert len(packed) > 200
    assert not [path for path in packed if path.is_symlink()]
    odd = re.compile(r'[<>:"\\|?*]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.IGNORECASE)
    assert not [path for path in packed if odd.search(path.name)]
    lower = [str(path.relative_to(ROOT)).lower() for path in packed]
    assert len(set(lower)) == len(lower)


def test_files_are_written_where_an_open_file_cannot_be_moved(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MOVES_OPEN_FILES", False)
    streams = []
    replace = files.os.replace

    def refuse_open(source, target):
        assert all(stream.closed for stream in streams), "moved while it is open"
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", refuse_open)
    with files.open_atomic(tmp_path / "a") as stream:
        streams.append(stream)
        stream.write(b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"
    with suppress(KeyboardInterrupt), files.open_atomic(tmp_path / "a") as stream:
        stream.write(b"half")
        raise KeyboardInterrupt
    assert (tmp_path / "a").read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
