"""The default method: encode the structures of each image alone, and fit an affine between them."""
