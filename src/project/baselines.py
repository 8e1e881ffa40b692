"""What a model must beat: scikit-learn's simplest answers, on the same rows."""

import numpy as np
import torch

from project.data import TableData
from project.metrics import class_metrics, number_metrics


def baseline_scores(data: TableData) -> dict[str, dict[str, float]]:
    """Trains two baselines on the training rows and scores them on the test rows.

    Args:
        data: A data module with test rows.

    Returns:
        Metrics by the baseline's name: the majority class (or the mean), which looks at no column, and logistic (or
        ridge) regression with scikit-learn's settings on standardised columns.
    """
    from sklearn.dummy import DummyClassifier, DummyRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, test, target = data.split("train"), data.split("test"), data.schema.target
    x, y = train.x.numpy(), train.y.numpy()
    if target.kind == "number":
        regressors = {"mean": DummyRegressor(), "ridge regression": make_pipeline(StandardScaler(), Ridge())}
        return {
            name: number_metrics(
                torch.from_numpy(model.fit(x, y).predict(test.x.numpy())).float() * target.scale + target.center,
                test.y * target.scale + target.center,
            )
            for name, model in regressors.items()
        }
    scores = {}
    classifiers = {
        "majority class": DummyClassifier(strategy="prior"),
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    }
    if len(set(y.tolist())) == 1:
        del classifiers["logistic regression"]  # there is nothing to tell apart
    num_classes = len(target.classes)
    for name, model in classifiers.items():
        model.fit(x, y)
        # A class without a training row has no column in the model's answer.
        probabilities = np.full((len(test.x), num_classes), 1e-15)
        probabilities[:, model.classes_.astype(int)] = model.predict_proba(test.x.numpy()).clip(1e-15)
        scores[name] = class_metrics(torch.from_numpy(np.log(probabilities)).float(), test.y)
    return scores
