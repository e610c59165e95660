"""Hints for `[FILE,1]`, the notation of inverse transforms in ANTs."""

import re

_BRACKETS = re.compile(r"\[(.+?)\s*,\s*([01])\s*\]")


def ants_hint(text: str) -> str | None:
    """Return a hint what to write instead of `[FILE,1]` or `[FILE,0]`; None for other text.

    Examples
    --------
    >>> ants_hint("[x.tfm,1]")
    '[x.tfm,1]: is how ANTs inverts a transform. Write inv:x.tfm'
    """
    found = _BRACKETS.fullmatch(text)
    if found is None:
        return None
    if found[2] == "1":
        return f"{text}: is how ANTs inverts a transform. Write inv:{found[1]}"
    return f"{text}: is how ANTs names a transform that it does not invert. Write {found[1]}"
