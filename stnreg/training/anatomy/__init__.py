"""Training of the anatomy networks: packed label maps, painted scans, the task."""
