"""Examples: tiny data sets, a convolutional net, and a picture of a decision boundary."""

from project.examples.boundary import DecisionBoundary
from project.examples.conv_net import ConvNet
from project.examples.reference import FiveRows, HeightWeight, RandomLabels, RandomNumbers, ThreePoints

__all__ = ["ConvNet", "DecisionBoundary", "FiveRows", "HeightWeight", "RandomLabels", "RandomNumbers", "ThreePoints"]
