"""The default stage: structures found in each image alone, and the affine between them."""
