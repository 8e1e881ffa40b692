"""Models: every class in the files here can be named on the command line as ``--model NAME``."""

from project.models.base import TableModel, predict_encoded
from project.models.feed_forward import FeedForward
from project.models.linear import LinearRegression, LogisticRegression
from project.models.tabm import TabM

__all__ = ["FeedForward", "LinearRegression", "LogisticRegression", "TabM", "TableModel", "predict_encoded"]
