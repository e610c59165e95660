"""Training of the network that predicts a velocity field between two heads: pack, painting, losses, loop, export."""
