"""Networks that see both images at once and give the affine, as the published method does."""
