"""Shared by all packages: atomic files, threads, a clock, the table of structures."""
