"""Training of networks that regress the rigid transform between two slices."""
