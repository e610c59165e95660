"""Running the networks: onnxruntime and numpy, no torch."""
