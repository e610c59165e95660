"""Registration of a pair: encode both images, estimate, refine, retry other poses if rejected, assess."""
