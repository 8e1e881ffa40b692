"""Every optimizer and every learning-rate schedule of PyTorch."""

import inspect
from functools import partial
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from points import set_up
from quiet import trainer
from torch import nn
from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

from project.data import BreastCancer, Digits
from project.engine.muon import MuonWithAdamW
from project.models import FeedForward, LogisticRegression, TableModel, TabM
from project.optimizers import describe
from project.schema import Category, Number, Schema, Target


def classes(module: Any, base: type) -> set[str]:
    """Public subclasses in a module of torch."""
    members = inspect.getmembers(module, lambda m: inspect.isclass(m) and issubclass(m, base) and m is not base)
    return {name for name, _ in members if not name.startswith("_")}


def training_loss(model: TableModel, data: BreastCancer) -> float:
    with torch.no_grad():
        x, y = set_up(data).splits["train"]
        return model.loss(model(x), y).item()


# --- optimizers ---

FULL_BATCH = {"LBFGS", "Rprop"}
UNUSABLE = {"SparseAdam"}


@pytest.mark.parametrize("name", sorted(classes(torch.optim, Optimizer) - UNUSABLE))
def test_trains_with_its_default_settings(name):
    torch.manual_seed(0)
    data = BreastCancer(batch_size="full" if name in FULL_BATCH else 32)
    model = LogisticRegression(set_up(data).schema, optimizer=name)
    before = training_loss(model, data)
    trainer(max_epochs=3).fit(model, data)
    assert training_loss(model, data) < before - 0.001


@pytest.mark.parametrize("name", sorted(FULL_BATCH))
@pytest.mark.parametrize(("batch_size", "window"), [("auto", 1), ("full", 2)])
def test_wants_the_full_batch(name, batch_size, window):
    """Alone: Lightning would divide the loss of a window, but for its gradient of an epoch's last one."""
    data = BreastCancer(batch_size=batch_size)
    model = LogisticRegression(set_up(data).schema, optimizer=name)
    with pytest.raises(ValueError, match=f"{name} .*batch_size full, --trainer.accumulate_grad_batches 1"):
        trainer(accumulate_grad_batches=window).fit(model, data)


SPECS = [
    (partial(torch.optim.SGD, lr=0.1), {"lr": 0.1}),
    ({"class_path": "SGD", "init_args": {"lr": 0.1}}, {"lr": 0.1}),
    ({"class_path": "torch.optim.sgd.SGD", "init_args": {"lr": 0.1}}, {"lr": 0.1}),
    *((spec, {}) for spec in ("SGD", torch.optim.SGD, {"class_path": "SGD"})),
]


@pytest.mark.parametrize(("spec", "settings"), SPECS)
def test_every_way_to_name_an_optimizer_means_the_same(spec, settings):
    assert describe(spec, Optimizer) == {"class_path": "torch.optim.SGD", "init_args": settings}


CODE_SCHEDULES = ["LambdaLR", "MultiplicativeLR", "SequentialLR", "ChainedScheduler"]
SPARSE = "SparseAdam cannot be used: it takes sparse gradients"
REFUSED = [
    ({"optimizer": "Adm"}, r"did you mean Adam\?"),
    ({"optimizer": "nowhere.Adam"}, "nowhere"),
    ({"optimizer": "StepLR"}, "Optimizer"),
    ({"optimizer": {"lr": 0.1}}, r"from a class such as partial\(SGD, lr=0\.1\)"),
    *(({"optimizer": spec}, SPARSE) for spec in ("SparseAdam", "torch.optim.SparseAdam", torch.optim.SparseAdam)),
    ({"scheduler": "StpLR"}, r"did you mean StepLR\?"),
    ({"scheduler": "Adam"}, "LRScheduler"),
    *(({"scheduler": name}, f"{name} cannot be used: .*no file or checkpoint can hold") for name in CODE_SCHEDULES),
]


@pytest.mark.parametrize(("spec", "message"), REFUSED)
def test_what_cannot_be_used_says_why_not(spec, message):
    with pytest.raises(ValueError, match=message):
        LogisticRegression(set_up(BreastCancer()).schema, **spec)


def test_the_fused_implementation_is_the_default_and_can_be_refused():
    data = BreastCancer(batch_size="full")
    for settings, fused in (({}, True), ({"fused": False}, False), ({"foreach": True}, None)):
        run = trainer(max_epochs=1)
        run.fit(LogisticRegression(set_up(data).schema, optimizer=partial(torch.optim.Adam, **settings)), data)
        assert run.optimizers[0].param_groups[0]["fused"] is fused


# --- Muon ---


def small_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(12, 7), nn.BatchNorm1d(7), nn.Linear(7, 2))


def take_steps(net: nn.Module, optimizers: list[Optimizer], seed: int) -> None:
    """Three steps on random rows, after each of which a schedule halves the rates."""
    torch.manual_seed(seed)
    schedules = [lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5) for optimizer in optimizers]
    for _ in range(3):
        net.zero_grad()
        net(torch.randn(20, 1, 4, 4)).square().mean().backward()
        for part in (*optimizers, *schedules):
            part.step()


def in_one(net: nn.Sequential, lr: float, weight_decay: float, **options: Any) -> MuonWithAdamW:
    """Muon on the hidden layer's weights, and AdamW."""
    return MuonWithAdamW([*net.parameters()], [net[2].weight], lr, weight_decay, momentum=0.9, **options)


def both_parts(
    net: nn.Sequential, lr: float, weight_decay: float, adamw_lr: float | None = None, adamw_weight_decay: float = 0.1
) -> list[Optimizer]:
    """What a step is held against: torch's Muon on the hidden layer's weights, its AdamW on all else."""
    rest = [p for p in net.parameters() if p is not net[2].weight]
    return [
        torch.optim.Muon([net[2].weight], lr, weight_decay, momentum=0.9),
        torch.optim.AdamW(rest, adamw_lr or lr, weight_decay=adamw_weight_decay),
    ]


def assert_equal_weights(first: nn.Module, second: nn.Module) -> None:
    for (name, p), (_, q) in zip(first.named_parameters(), second.named_parameters(), strict=True):
        assert torch.equal(p, q), name


@pytest.mark.parametrize("own", [{}, {"adamw_lr": 0.003, "adamw_weight_decay": 0.5}])
def test_muon_moves_the_hidden_matrices_and_adamw_the_rest(own):
    """To the bit, under a schedule of both; also when the state goes through a checkpoint in between."""
    ours, theirs = small_net(), small_net()
    optimizer, parts = in_one(ours, 0.02, 0.1, **own), both_parts(theirs, 0.02, 0.1, **own)
    take_steps(ours, [optimizer], seed=1)
    take_steps(theirs, parts, seed=1)
    assert_equal_weights(ours, theirs)
    resumed = in_one(ours, 0.5, 0.0)
    resumed.load_state_dict(optimizer.state_dict())
    take_steps(ours, [resumed], seed=2)
    take_steps(theirs, parts, seed=2)
    assert_equal_weights(ours, theirs)


def test_muon_gets_hidden_matrices_only():
    """Not what makes outputs, names and constants, nor what has a side of 1."""
    columns = Number("size", quantiles=(0.0, 0.5, 1.0)), Category("plan", ("a", "b"))
    schema, digits = Schema(columns, Target("y", "binary", ("no", "yes"), counts=(2, 2))), set_up(Digits()).schema
    nets = {
        "net.0.weight": FeedForward(digits, hidden_sizes=(8,)),
        "net.0.weight net.2.weight": FeedForward(digits, hidden_sizes=(8, 6)),
        "": FeedForward(schema, hidden_sizes=(8,)),  # whose numbers are one
        "net.2.weight": FeedForward(schema, hidden_sizes=(8, 6)),
        "shared.2.weight": TabM(set_up(BreastCancer()).schema),
    }
    for names, net in nets.items():
        hidden = {id(p) for p in net.hidden_matrices()}
        assert " ".join(name for name, p in net.named_parameters() if id(p) in hidden) == names
    assert LogisticRegression(digits).hidden_matrices() == []


# --- schedules ---

EPOCH_SCHEDULES: dict[str, dict[str, Any]] = {
    "ConstantLR": {"factor": 0.3, "total_iters": 1},
    "CosineAnnealingLR": {"T_max": 2},
    "CosineAnnealingWarmRestarts": {"T_0": 3},
    "ExponentialLR": {"gamma": 0.5},
    "LinearLR": {"start_factor": 0.1, "total_iters": 2},
    "MultiStepLR": {"milestones": [1], "gamma": 0.2},
    "PolynomialLR": {"total_iters": 2, "power": 2.0},
    "StepLR": {"step_size": 1, "gamma": 0.4},
}
STEP_SCHEDULES: dict[str, dict[str, Any]] = {
    "CyclicLR": {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 5},
    "OneCycleLR": {"max_lr": 0.2, "total_steps": 8},
}
BATCHES = 4


class Rates(Callback):
    """Notes the learning rate of every step, and the losses by which ReduceLROnPlateau decides."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.losses: list[float] = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        (rate,) = {group["lr"] for group in trainer.optimizers[0].param_groups}
        self.rates.append(rate)

    def on_train_epoch_end(self, trainer, pl_module):
        self.losses.append(trainer.callback_metrics.get("loss/val", torch.tensor(torch.nan)).item())


def rates_of(scheduler: Any, max_epochs: int = 2, optimizer: Any = None, **options) -> Rates:
    """Trains for some epochs of four steps."""
    data, rates = BreastCancer(batch_size=100, **options), Rates()
    assert len(set_up(data).train_dataloader()) == BATCHES
    optimizer = optimizer or partial(torch.optim.SGD, lr=0.1, momentum=0.9)
    model = LogisticRegression(set_up(data).schema, optimizer=optimizer, scheduler=scheduler)
    trainer(max_epochs=max_epochs, callbacks=[rates]).fit(model, data)
    return rates


def by_hand(name: str, settings: dict[str, Any], per_step: bool, num_steps: int) -> list[float]:
    """The rates of a schedule that is stepped after each step or each fourth."""
    sgd = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1, momentum=0.9)
    schedule, rates = getattr(lr_scheduler, name)(sgd, **settings), []
    for step in range(num_steps):
        rates.append(sgd.param_groups[0]["lr"])
        sgd.step()
        if per_step or step % BATCHES == BATCHES - 1:
            schedule.step()
    return rates


def test_every_schedule_of_torch_is_tried_here():
    tried = {*EPOCH_SCHEDULES, *STEP_SCHEDULES, "ReduceLROnPlateau", *CODE_SCHEDULES}
    assert classes(lr_scheduler, LRScheduler) == tried


FOLLOWED = [
    *((name, settings, 2, settings) for name, settings in (EPOCH_SCHEDULES | STEP_SCHEDULES).items()),
    # Their length and the highest rate by themselves.
    ("OneCycleLR", {}, 3, {"max_lr": 0.1, "total_steps": 3 * BATCHES}),
    ("CosineAnnealingLR", {}, 3, {"T_max": 3}),
]


@pytest.mark.parametrize(("name", "settings", "max_epochs", "meant"), FOLLOWED)
def test_learning_rates_follow_the_schedule(name, settings, max_epochs, meant):
    expected = by_hand(name, meant, name in STEP_SCHEDULES, max_epochs * BATCHES)
    assert len(set(expected)) > 1
    spec = {"class_path": name, "init_args": settings}
    assert rates_of(spec, max_epochs).rates == pytest.approx(expected, rel=1e-12)


def test_cosine_needs_its_length_where_the_run_has_no_last_epoch():
    """With ``max_steps`` alone; its own guess would be a rate of 0 in every second epoch."""
    model = LogisticRegression(set_up(BreastCancer()).schema, optimizer="SGD", scheduler="CosineAnnealingLR")
    with pytest.raises(ValueError, match="T_max"):
        trainer(max_epochs=None, max_steps=10).fit(model, BreastCancer())


def test_a_learning_rate_that_cycles_suits_muon_too():
    """Both parts of it."""
    settings = {"max_lr": 0.2, "total_steps": 8}
    expected = by_hand("OneCycleLR", settings, True, 8)
    spec = {"class_path": "OneCycleLR", "init_args": settings}
    assert rates_of(spec, optimizer=partial(torch.optim.Muon, lr=0.1)).rates == pytest.approx(expected, rel=1e-12)


class EveryStep(lr_scheduler.StepLR):
    """A schedule of one's own that moves with every step."""

    interval = "step"


def test_a_schedule_of_ones_own_can_move_with_every_step():
    rates = rates_of(partial(EveryStep, step_size=1, gamma=0.5), max_epochs=2).rates
    assert rates == pytest.approx([0.1 * 0.5**step for step in range(2 * BATCHES)])


def test_a_plateau_watches_the_training_loss_without_validation_rows():
    """So small a rate leaves the losses where they are."""
    plateau = partial(lr_scheduler.ReduceLROnPlateau, factor=0.1, patience=0)
    rates = rates_of(plateau, 3, partial(torch.optim.SGD, lr=1e-6), val_fraction=0.0, test_fraction=0.4).rates
    assert rates == pytest.approx([1e-6] * 2 * BATCHES + [1e-7] * BATCHES)


def test_a_plateau_follows_the_validation_loss():
    """Held against the schedule stepped by hand with the losses that were logged."""
    noted = rates_of(
        partial(lr_scheduler.ReduceLROnPlateau, factor=0.5, patience=0),
        max_epochs=12,
        optimizer=partial(torch.optim.SGD, lr=5.0),
    )
    sgd = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=5.0)
    schedule, expected = lr_scheduler.ReduceLROnPlateau(sgd, factor=0.5, patience=0), []
    for loss in noted.losses:
        expected.append(sgd.param_groups[0]["lr"])
        schedule.step(loss)
    assert noted.rates[::BATCHES] == expected
    assert len(set(expected)) > 2
