"""Datasets: find scans with their subjects and visits, and draw pairs and splits."""
