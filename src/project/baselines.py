"""What a model must beat: scikit-learn's answers, from the simplest to boosted trees, on the same rows."""

from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from project.data import Split, TableData
from project.metrics import class_metrics, number_metrics
from project.schema import Schema

MAX_ROWS = 100_000
"""Training rows that the baselines look at; more would take them longer than the net."""
MAX_CELLS = 10_000_000
"""So many numbers in those rows, at most."""
MAX_NAMES = 255
"""Different names that scikit-learn's booster takes in a column; more are numbers to it."""
MAX_TREES = 1000
"""About so many trees a booster may grow, one a round for each of several classes; but it has ten rounds at least."""


def baseline_scores(data: TableData, test: Split | None = None) -> dict[str, dict[str, float]]:
    """Trains the baselines on the training rows and scores them on the test rows.

    Args:
        data: A data module.
        test: Rows to test on in place of the module's test rows.

    Returns:
        Metrics by the baseline's name: the majority class (or the mean), which looks at no column; logistic (or ridge)
        regression on standardised columns; and gradient boosting (``HistGradientBoosting``), which takes names as such;
        each with scikit-learn's settings. The name says if it saw a part of the rows, drawn at random, or if it had
        fewer than the usual 100 rounds.
    """
    from sklearn.dummy import DummyClassifier, DummyRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline

    train, schema = data.splits["train"], data.schema
    target, test = schema.target, test or data.splits["test"]
    seen = ""
    if len(train.x) > (most := min(MAX_ROWS, MAX_CELLS // train.x.shape[1])):
        seen = f" on {most:,} rows"
        few = torch.from_numpy(np.random.default_rng(0).permutation(len(train.x))[:most])
        train = Split(train.x[few], train.y[few])
    x, y, test_y = train.x.numpy(), train.y.numpy(), test.y
    pieces = np.split(test.x.numpy(), range(MAX_ROWS, len(test.x), MAX_ROWS))  # preparing all takes much memory
    prepared, (boosting, rounds) = _preparation(schema), _boosting(schema)
    classes = bool(target.classes)
    models: dict[str, Any] = {"majority class": DummyClassifier()} if classes else {"mean": DummyRegressor()}
    if not classes or len(set(y.tolist())) > 1:  # there is something to tell apart
        linear = LogisticRegression(max_iter=1000) if classes else Ridge()
        models[f"{'logistic' if classes else 'ridge'} regression{seen}"] = make_pipeline(*prepared, linear)
        models[f"gradient boosting{seen}{rounds}"] = boosting
    scores = {}
    for name, model in models.items():
        with threadpool_limits(torch.get_num_threads(), "openmp"):  # others are slow where the net's are few
            model.fit(x, y)
        if not classes:
            predicted = np.concatenate([model.predict(piece) for piece in pieces])
            scores[name] = number_metrics(torch.from_numpy(predicted), test_y, target.scale)
            continue
        # A class without a training row has no column in the model's answer.
        logs = np.full((len(test_y), len(target.classes)), np.log(1e-15), np.float32)
        for part, piece in zip(np.split(logs, range(MAX_ROWS, len(logs), MAX_ROWS)), pieces, strict=True):
            part[:, model.classes_.astype(int)] = np.log(model.predict_proba(piece).clip(1e-15))
        scores[name] = class_metrics(torch.from_numpy(logs), test_y)
    return scores


def _boosting(schema: Schema) -> tuple[Any, str]:
    """Gradient boosting, and its number of rounds in words if they are fewer than usual."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    start = schema.num_encoded - len(schema.categories)
    # Rare and missing names have negative codes, which are missing ones to it.
    names = [False] * start + [len(category.values) < MAX_NAMES for category in schema.categories]
    rounds = max(10, min(100, MAX_TREES // schema.target.num_outputs))
    kind = HistGradientBoostingRegressor if schema.target.kind == "number" else HistGradientBoostingClassifier
    words = f" in {rounds} rounds" if rounds < 100 else ""
    # To stop early would take rows away, and fails where a class has a single one.
    return kind(max_iter=rounds, categorical_features=names, early_stopping=False, random_state=0), words


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
