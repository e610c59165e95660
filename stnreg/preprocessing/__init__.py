"""Preprocessing of images for networks: the same code for training and for registration."""
