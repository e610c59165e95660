"""Tests of `stnreg`, and what they share with the benchmarks: run from the root of the repository."""
