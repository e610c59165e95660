"""Transform files: one module per format. All are converted to LPS mm, fixed to moving, when read."""
