"""One verb, one file: parse, call, report. No mathematics here, and nothing heavy imported at the top."""
