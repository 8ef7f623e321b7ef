"""Figures 2, 3 and 4 of the paper, drawn from results, models and data."""
