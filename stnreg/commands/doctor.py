"""`stnreg doctor`: what runs here."""

import typer

from stnreg.commands import _options as options
from stnreg.errors import ExitCode


def doctor(json: options.Json = None) -> None:
    """Show what is installed and whether it works.

    Listed are versions, networks with their hashes, the device that they run on, threads, and optional tools. Each
    line is group, name, ok|missing|wrong, detail; tab-separated off a terminal. What is missing is optional, and
    the line says how to get it. What is wrong would change or prevent a result: the exit status is then 4.
    """
    from stnreg.reports import streams
    from stnreg.reports.environment import examine

    findings = list(examine())
    if json is not None:
        streams.write_json({"findings": [finding._asdict() for finding in findings]}, json)
    if json != "-":
        streams.show_table(("group", "name", "status", "detail"), findings)
    if any(finding.status == "wrong" for finding in findings):
        raise typer.Exit(ExitCode.DATA)
