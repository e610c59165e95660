"""Lists of pairs from the scans that people have: whose they are, when they were taken, and who is in which split."""
