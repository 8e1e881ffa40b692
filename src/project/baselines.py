"""What a model must beat: scikit-learn's simplest answers, on the same rows."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from project.data import Split, TableData
from project.metrics import class_metrics, number_metrics
from project.schema import Schema

MAX_ROWS = 100_000
"""Training rows that the baselines look at; more would take them longer than the net."""


def baseline_scores(data: TableData, test: Split | None = None) -> dict[str, dict[str, float]]:
    """Trains two baselines on the training rows and scores them on the test rows.

    Args:
        data: A data module.
        test: Rows to test on in place of the module's test rows.

    Returns:
        Metrics by the baseline's name: the majority class (or the mean), which looks at no column, and logistic (or
        ridge) regression with scikit-learn's settings on standardised columns.
    """
    from sklearn.dummy import DummyClassifier, DummyRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, schema = data.splits["train"], data.schema
    target, test = schema.target, test or data.splits["test"]
    if len(train.x) > MAX_ROWS:
        few = torch.from_numpy(np.random.default_rng(0).permutation(len(train.x))[:MAX_ROWS])
        train = Split(train.x[few], train.y[few])
    x, y = _features(train.x, schema), train.y.numpy()
    test_x, test_y = _features(test.x, schema), test.y
    scaler = StandardScaler(with_mean=not schema.categories)  # a sparse matrix would be filled
    if target.kind == "number":
        regressors = {"mean": DummyRegressor(), "ridge regression": make_pipeline(scaler, Ridge())}
        return {
            name: number_metrics(torch.from_numpy(model.fit(x, y).predict(test_x)), test_y, target.scale)
            for name, model in regressors.items()
        }
    scores = {}
    classifiers = {
        "majority class": DummyClassifier(strategy="prior"),
        "logistic regression": make_pipeline(scaler, LogisticRegression(max_iter=1000)),
    }
    if len(set(y.tolist())) == 1:
        del classifiers["logistic regression"]  # there is nothing to tell apart
    num_classes = len(target.classes)
    for name, model in classifiers.items():
        model.fit(x, y)
        # A class without a training row has no column in the model's answer.
        probabilities = np.full((len(test_y), num_classes), 1e-15)
        probabilities[:, model.classes_.astype(int)] = model.predict_proba(test_x).clip(1e-15)
        scores[name] = class_metrics(torch.from_numpy(np.log(probabilities)).float(), test_y)
    return scores


def _features(encoded: torch.Tensor, schema: Schema) -> NDArray[np.float32] | Any:
    """Features, ``(rows, features)``: a sparse matrix where there are names, of which each row has one a column."""
    x = encoded.numpy()
    if not schema.categories:
        return x
    from scipy import sparse

    num_numbers = x.shape[1] - len(schema.categories)
    blocks = [sparse.csr_array(x[:, :num_numbers])]
    for i, category in enumerate(schema.categories, start=num_numbers):
        place = {slot: j for j, slot in enumerate(category.slots)}
        columns = np.array([place.get(code, -1) for code in range(-2, len(category.values))])[x[:, i].astype(int) + 2]
        rows = np.flatnonzero(columns >= 0)
        ones = np.ones(len(rows), np.float32)
        blocks.append(sparse.csr_array((ones, (rows, columns[rows])), shape=(len(x), len(place))))
    return sparse.hstack(blocks, format="csr")
