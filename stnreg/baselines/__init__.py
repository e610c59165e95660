"""Other people's registration behind one signature: two Volumes in, `fixed_to_moving` out.

`recipes.RECIPES` is the table of methods: which engine, how many degrees of freedom, which settings. One module an
engine: `align` runs it on a recipe, `deform` on one that finds a warp after an affine, `command` says in words what
runs. Each imports its package when it is used.
"""
