"""The BIDS App `stnreg-bids`: every T1w image of a BIDS dataset to a template, with reports."""
