"""A table of all runs, and their curves."""

from project.runs.curves import Curve, read_curves

__all__ = ["Curve", "read_curves"]
