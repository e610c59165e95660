"""Resampling: images, label maps, soft maps, block means."""
