"""`python -m stnreg.bids_app`."""

from stnreg.bids_app.command import main

main()
