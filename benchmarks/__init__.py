"""Benchmarks of `stnreg`: see README.md in this folder. Run from the root of the repository."""
