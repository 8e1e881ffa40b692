"""Data modules: every class in the files here can be named on the command line as ``--data NAME``."""

from project.data.base import RawTable, Split, TableData
from project.data.bundled import BreastCancer, Diabetes, Digits, Iris, Wine
from project.data.loader import BatchLoader

__all__ = ["BatchLoader", "BreastCancer", "Diabetes", "Digits", "Iris", "RawTable", "Split", "TableData", "Wine"]
