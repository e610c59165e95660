"""What happens to images before and after a network: the same code for training and for registration."""
