"""Predictions for new rows, in a file or from Python."""

from project.predict.predictor import Predictor

__all__ = ["Predictor"]
