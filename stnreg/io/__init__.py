"""The only package that opens image and transform files. Heavy readers are imported when first used."""
