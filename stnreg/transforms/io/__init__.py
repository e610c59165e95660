"""Transform files: ITK, FreeSurfer, FSL, plain matrices, and chains of them."""
