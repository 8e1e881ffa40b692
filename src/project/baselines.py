"""What a model must beat: scikit-learn's simplest answers, on the same rows."""

from typing import Any

import numpy as np
import torch

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
        ridge) regression with scikit-learn's settings on standardised columns; the name says if it saw a part of the
        rows, drawn at random.
    """
    from sklearn.dummy import DummyClassifier, DummyRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline

    train, schema = data.splits["train"], data.schema
    target, test = schema.target, test or data.splits["test"]
    seen = ""
    if len(train.x) > MAX_ROWS:
        seen = f" on {MAX_ROWS:,} rows"
        few = torch.from_numpy(np.random.default_rng(0).permutation(len(train.x))[:MAX_ROWS])
        train = Split(train.x[few], train.y[few])
    x, y, test_x, test_y = train.x.numpy(), train.y.numpy(), test.x.numpy(), test.y
    prepared = _preparation(schema)
    if target.kind == "number":
        regressors = {"mean": DummyRegressor(), f"ridge regression{seen}": make_pipeline(*prepared, Ridge())}
        return {
            name: number_metrics(torch.from_numpy(model.fit(x, y).predict(test_x)), test_y, target.scale)
            for name, model in regressors.items()
        }
    scores = {}
    classifiers = {"majority class": DummyClassifier(strategy="prior")}
    if len(set(y.tolist())) > 1:  # there is something to tell apart
        classifiers[f"logistic regression{seen}"] = make_pipeline(*prepared, LogisticRegression(max_iter=1000))
    num_classes = len(target.classes)
    for name, model in classifiers.items():
        model.fit(x, y)
        # A class without a training row has no column in the model's answer.
        probabilities = np.full((len(test_y), num_classes), 1e-15)
        probabilities[:, model.classes_.astype(int)] = model.predict_proba(test_x).clip(1e-15)
        scores[name] = class_metrics(torch.from_numpy(np.log(probabilities)).float(), test_y)
    return scores


def _preparation(schema: Schema) -> list[Any]:
    """What comes before a linear model: a column for each name, without filling the zeros in, and standardising."""
    from sklearn.compose import make_column_transformer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    if not schema.categories:
        return [StandardScaler()]
    start = schema.num_encoded - len(schema.categories)
    names = OneHotEncoder(categories=[sorted(c.slots) for c in schema.categories], handle_unknown="ignore")
    columns = list(range(start, schema.num_encoded))
    one_hot = make_column_transformer((names, columns), remainder="passthrough", sparse_threshold=1.0)
    return [one_hot, StandardScaler(with_mean=False)]
