"""Non-linear transforms on disk: one file per format, each turned into LPS mm, fixed to moving, at the border."""
