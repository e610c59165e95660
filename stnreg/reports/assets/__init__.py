"""The parts of HTML pages: templates, scripts, styles, and what fills them."""

import json
from importlib.resources import files
from typing import Any


def asset(name: str) -> str:
    """Return the text of a part."""
    return (files("stnreg.reports") / "assets" / name).read_text(encoding="utf-8")


def filled(name: str, **values: str) -> str:
    """Replace `{{name}}` in a template by values, which are not expanded again."""
    parts = asset(name).split("{{")
    done = [parts[0]]
    for part in parts[1:]:
        key, _, rest = part.partition("}}")
        done += [values[key], rest]
    return "".join(done)


def look_bar(before: str = "", between: str = "") -> str:
    """Return the controls of how a pair is shown, with further ones for an image before registration."""
    return filled("look.html", before=before, between=between)


def script_json(data: Any) -> str:
    """Return JSON that may stand in a script element: nothing in it can end the element."""
    return json.dumps(data, allow_nan=False).replace("<", "\\u003c")
