"""Registration by other tools with one signature: two Volumes in, `fixed_to_moving` out.

`recipes.RECIPES` is the table of methods: engine, degrees of freedom, settings. There is one module per engine:
`run_recipe` runs it, `deform` runs one that finds a warp after an affine, `command` returns its command line or
calls as text. Each imports its package on use.
"""
