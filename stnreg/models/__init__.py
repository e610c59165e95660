"""Network files, their sidecars, and their onnxruntime sessions."""
