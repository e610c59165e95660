"""The visits of one person in one space: pairs, agreement, template, and what changed.

`register` runs the steps. Every step is symmetric in the visits, and they are put in an order of their content first,
so that the result does not depend on the order in which they are given.
"""
