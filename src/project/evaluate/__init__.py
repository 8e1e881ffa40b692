"""Tests of a trained model, again or on another file."""

from project.evaluate.evaluation import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate"]
