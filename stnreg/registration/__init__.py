"""Registration of a pair: encode both images, estimate, refine, retry the pose where it is in doubt, assess."""
