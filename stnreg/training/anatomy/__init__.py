"""Training of the anatomy networks: packing of label maps, painting of scans, the task."""
