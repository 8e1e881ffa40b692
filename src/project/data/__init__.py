"""Data modules: every class here can be named on the command line as ``--data NAME``."""

from project.data.base import TableData
from project.data.bundled import BreastCancer, Diabetes, Digits, Iris, Wine
from project.data.loader import TensorLoader
from project.data.raw_table import RawTable, Split
from project.data.reference import FiveRows, HeightWeight, RandomLabels, RandomNumbers, ThreePoints
from project.data.table import Table
from project.data.toy import Blobs, Circles, Moons

__all__ = [
    "Blobs",
    "BreastCancer",
    "Circles",
    "Diabetes",
    "Digits",
    "FiveRows",
    "HeightWeight",
    "Iris",
    "Moons",
    "RandomLabels",
    "RandomNumbers",
    "RawTable",
    "Split",
    "Table",
    "TableData",
    "TensorLoader",
    "ThreePoints",
    "Wine",
]
