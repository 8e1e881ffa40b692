"""Metrics against scikit-learn."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

from project.metrics import class_metrics, defined, make_metrics, number_metrics, scored, two_columns
from project.schema import Target

pytestmark = pytest.mark.lowest

CLASS_METRICS = ("accuracy", "auroc", "balanced_accuracy", "calibration_error", "f1", "log_loss")


def draw(num_classes: int, num_rows: int = 300, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits with some truth in them, and classes."""
    rng = np.random.default_rng(seed)
    y = rng.choice(num_classes, num_rows, p=np.arange(1, num_classes + 1) / np.arange(1, num_classes + 1).sum())
    logits = rng.normal(size=(num_rows, num_classes)) * 2 + 1.5 * np.eye(num_classes)[y]
    return torch.from_numpy(logits).float(), torch.from_numpy(y)


def calibration_error(probabilities: np.ndarray, y: np.ndarray) -> float:
    """Guo et al. 2017, equation 3, with 15 equal bins."""
    confidence, correct = probabilities.max(1), probabilities.argmax(1) == y
    edges, total = np.linspace(0, 1, 16), 0.0
    for low, high in pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            total += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    return total


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("num_classes", [2, 3, 10])
def test_scores_of_classes_equal_those_of_scikit_learn(num_classes, seed):
    logits, y = draw(num_classes, seed=seed)
    log_probabilities = logits.log_softmax(1)
    p, true = log_probabilities.double().exp().numpy(), y.numpy()
    p /= p.sum(1, keepdims=True)
    predicted = p.argmax(1)
    scores = p[:, 1] if num_classes == 2 else p
    expected = {
        "accuracy": sk.accuracy_score(true, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(true, predicted),
        "f1": sk.f1_score(true, predicted, average="binary" if num_classes == 2 else "macro"),
        "auroc": sk.roc_auc_score(true, scores, multi_class="ovr", average="macro"),
        "log_loss": sk.log_loss(true, p),
        "calibration_error": calibration_error(p, true),
    }
    assert class_metrics(log_probabilities, y) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("kind", ["all right", "all wrong"])
@pytest.mark.parametrize("num_classes", [2, 4])
def test_extremes(kind, num_classes):
    y = torch.arange(40) % num_classes
    guess = y if kind == "all right" else (y + 1) % num_classes
    scores = class_metrics((20.0 * torch.nn.functional.one_hot(guess)).log_softmax(1), y)
    right = float(kind == "all right")
    assert [scores[name] for name in ("accuracy", "balanced_accuracy", "f1")] == [right] * 3
    assert scores["log_loss"] == pytest.approx(20.0 * (1 - right), abs=1e-5)
    assert scores["calibration_error"] == pytest.approx(1 - right, abs=1e-6)


@pytest.mark.parametrize("logit", [50.0, 200.0, 1e4])
def test_saturated_logits_give_a_finite_log_loss(logit):
    """A single wrong row of four; in probabilities it would cost minus the logarithm of 0."""
    logits, y = torch.tensor([[logit], [-logit], [logit], [-logit]]), torch.tensor([1.0, 0.0, 1.0, 1.0])
    assert class_metrics(two_columns(logits), y)["log_loss"] == pytest.approx(logit / 4)


def test_the_ranks_of_confident_predictions_count():
    """A sigmoid in single precision rounds every logit above 17 to 1; the AUROC must still tell them apart."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    logits = 25 + 4 * y + rng.normal(0, 2, 200)
    scores = class_metrics(two_columns(torch.from_numpy(logits).float()[:, None]), torch.from_numpy(y))
    assert scores["auroc"] == pytest.approx(sk.roc_auc_score(y, logits), abs=1e-6)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "number"])
@pytest.mark.parametrize("occurs", [4, 1])
def test_one_batch_and_seven_give_the_same_figures(kind, occurs):
    """Also where a batch, or all of them, lack a class or have a single true number."""
    classes = {"binary": ("a", "b"), "multiclass": ("a", "b", "c", "d"), "number": ()}[kind]
    target = Target("y", kind, classes, 150.0, 70.0)
    rng = np.random.default_rng(0)
    outputs = torch.from_numpy(rng.normal(0, 5, (50, target.num_outputs))).float()
    y = torch.from_numpy(rng.integers(0, min(occurs, len(classes) or 4), 50)).float()
    scores = []
    for num_batches in (1, 7):
        metrics = make_metrics(target, "/test")
        for rows in torch.arange(50).chunk(num_batches):
            metrics.update(**scored(outputs[rows], y[rows], target))
        scores.append({name: float(score) for name, score in defined(metrics.compute()).items()})
        metrics.reset()
        metrics.update(**scored(outputs, y, target))
        assert {name: float(score) for name, score in defined(metrics.compute()).items()} == pytest.approx(scores[0])
    assert scores[0] == pytest.approx(scores[1], rel=1e-12)
    names = {"mae", "rmse", "r2"} if kind == "number" else {*CLASS_METRICS}
    assert scores[0].keys() == {f"{name}/test" for name in names - ({"auroc", "r2"} if occurs == 1 else set())}


@pytest.mark.parametrize("kind", ["binary", "number"])
def test_metrics_stay_where_and_as_they_are(kind):
    """In double precision on the CPU, wherever the model is, and in no checkpoint."""
    target = Target("y", kind, ("a", "b") if kind == "binary" else (), 150.0, 70.0)
    metrics = make_metrics(target)
    metrics.update(**scored(torch.zeros(3, 1), torch.ones(3), target))
    model = torch.nn.ModuleDict({"metrics": metrics}).to("meta").half()
    state = metrics["accuracy"].confmat if kind == "binary" else metrics["r2"].sum_error
    assert (state.dtype, state.device.type) == (torch.float64, "cpu")
    assert model.state_dict() == {}


@pytest.mark.parametrize("num_classes", [2, 3])
def test_a_missing_class_leaves_auroc_out_and_the_rest_as_in_scikit_learn(num_classes):
    """Warnings are errors here, so that none is given is held too."""
    logits, y = draw(num_classes)
    logits, y = logits[y > 0], y[y > 0]
    scores, predicted = class_metrics(logits.log_softmax(1), y), logits.argmax(1)
    assert "auroc" not in scores
    assert scores["accuracy"] == pytest.approx(sk.accuracy_score(y, predicted))
    recalls = sk.recall_score(y, predicted, labels=range(1, num_classes), average="macro")
    assert scores["balanced_accuracy"] == pytest.approx(recalls)


@pytest.mark.parametrize("y", [[3.0], [3.0, 3.0]])
def test_r2_is_left_out_where_it_has_no_meaning(y):
    assert number_metrics(torch.tensor(y) + 1, torch.tensor(y)) == {"mae": 1.0, "rmse": 1.0}


def test_numbers_far_from_zero_lose_no_digits():
    """Standardised numbers are scored; in the target's unit float32 would round 1.6e9 to multiples of 128."""
    rng = np.random.default_rng(0)
    true = 1.6e9 + 100 * rng.normal(size=200)
    predicted = true + rng.normal(size=200)
    y, p = (torch.from_numpy((values - 1.6e9) / 100).float() for values in (true, predicted))
    scores = number_metrics(p, y, scale=100)
    assert scores["rmse"] == pytest.approx(sk.root_mean_squared_error(true, predicted), rel=1e-4)
    assert scores["mae"] == pytest.approx(sk.mean_absolute_error(true, predicted), rel=1e-4)
    assert scores["r2"] == pytest.approx(sk.r2_score(true, predicted), rel=1e-6)
