"""Every interpolation: images, label maps, soft maps, block means."""
