"""What the default settings are worth: beside scikit-learn's, on the same folds of each bundled set."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn import datasets
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from project.cross_validate.__main__ import main

SETS = {"BreastCancer": "breast_cancer", "Wine": "wine", "Iris": "iris", "Digits": "digits"}
RIVALS = {"LogisticRegression": LogisticRegression(max_iter=1000), "FeedForward": MLPClassifier(random_state=0)}
HIGHEST_LOG_LOSS = {"LogisticRegression": 0.01, "FeedForward": 0.0}
"""Above the rival's."""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")  # the rival's default is to stop before it has converged
@pytest.mark.parametrize(
    ("name", "model", "num_folds"),
    [
        ("BreastCancer", "FeedForward", 10),
        ("Wine", "FeedForward", 10),
        ("Iris", "FeedForward", 10),
        ("Digits", "FeedForward", 4),
        ("Wine", "LogisticRegression", 4),
    ],
)
def test_the_defaults_are_no_worse_than_those_of_scikit_learn(
    name: str, model: str, num_folds: int, tmp_path: Path
) -> None:
    logs = ["--trainer.default_root_dir", str(tmp_path)]
    assert main(["--data", name, "--model", model, "--folds", str(num_folds), *logs]) == 0
    (path,) = tmp_path.glob("*/cv-*/report.json")
    ours = json.loads(path.read_text())["summary"]["metrics"]
    x, y = getattr(datasets, f"load_{SETS[name]}")(return_X_y=True)
    accuracies, losses = [], []
    for train, test in StratifiedKFold(num_folds, shuffle=True, random_state=0).split(x, y):
        rival = make_pipeline(StandardScaler(), RIVALS[model]).fit(x[train], y[train])
        accuracies.append(rival.score(x[test], y[test]))
        losses.append(log_loss(y[test], rival.predict_proba(x[test])))
    standard_error = np.std(accuracies, ddof=1) / num_folds**0.5
    assert ours["accuracy"]["mean"] >= np.mean(accuracies) - standard_error
    assert ours["log_loss"]["mean"] < np.mean(losses) + HIGHEST_LOG_LOSS[model]
