"""Tests of a trained model, again or on another file."""

from project.evaluate.evaluation import Evaluation, evaluate
from project.evaluate.figures import ConfusionMatrix

__all__ = ["ConfusionMatrix", "Evaluation", "evaluate"]
