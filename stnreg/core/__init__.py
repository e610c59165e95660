"""What every package may lean on: files that are written whole, threads, a clock, the table of structures."""
