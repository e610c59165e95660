"""Images and their files: grids in LPS mm, headers, readers, writers."""
