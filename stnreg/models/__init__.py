"""Network files: their sidecars, and how onnxruntime runs them."""
