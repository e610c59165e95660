"""Batches of pairs: tasks, fault-tolerant workers, the table of results, resumable runs."""
