"""A table of all runs, and their curves."""

from project.runs.curves import read_curves

__all__ = ["read_curves"]
