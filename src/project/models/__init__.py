"""Models: every class in the files here can be named on the command line as ``--model NAME``."""

from project.models.base import TableModel, predict_encoded, predictions
from project.models.feed_forward import FeedForward
from project.models.linear import LinearRegression, LogisticRegression
from project.models.load import load_checkpoint, load_model, restore_model

__all__ = [
    "FeedForward",
    "LinearRegression",
    "LogisticRegression",
    "TableModel",
    "load_checkpoint",
    "load_model",
    "predict_encoded",
    "predictions",
    "restore_model",
]
