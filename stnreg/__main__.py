"""`python -m stnreg`."""

from stnreg.cli import main

main()
