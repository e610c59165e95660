"""Images and image files: headers, readers, writers. Grids are in LPS mm."""
