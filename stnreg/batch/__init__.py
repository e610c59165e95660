"""Many pairs through the code of one: tasks, workers that may die, a table that grows, runs that go on."""
