"""The commands as nodes of workflows: `stnreg.interfaces.nipype` and `stnreg.interfaces.pydra`.

Both are generated from the options of the commands, and run the commands, so that a node takes what the command takes
and writes the same bytes. Neither engine is imported before its module is.
"""

VERBS = ("register", "apply-transform", "evaluate", "series", "batch")
"""The commands that have interfaces."""


def class_name(verb: str) -> str:
    """Return the name of the interface of a command.

    Examples
    --------
    >>> class_name("apply-transform")
    'ApplyTransform'
    """
    return verb.title().replace("-", "")
