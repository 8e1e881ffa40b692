"""Examples: tiny data sets, and a convolutional net."""

from project.examples.conv_net import ConvNet
from project.examples.reference import FiveRows, HeightWeight, RandomLabels, RandomNumbers, ThreePoints

__all__ = ["ConvNet", "FiveRows", "HeightWeight", "RandomLabels", "RandomNumbers", "ThreePoints"]
