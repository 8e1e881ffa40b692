"""Muon for a whole model."""

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import AdamW, Muon, Optimizer


class MuonWithAdamW(Optimizer):
    """Muon on the weight matrices and AdamW, at the same rate and weight decay, on everything else.

    ``torch.optim.Muon`` orthogonalises matrices and takes nothing else (Jordan et al. 2024,
    https://kellerjordan.github.io/posts/muon/).

    Args:
        params: Parameters or parameter groups.
        lr: Learning rate of both. With ``adjust_lr_fn="match_rms_adamw"`` a rate that suits AdamW suits Muon.
        weight_decay: Weight decay of both.
        fused: Whether AdamW runs fused.
        muon: Further arguments of ``torch.optim.Muon``.
    """

    def __init__(
        self, params: Any, lr: float = 1e-3, weight_decay: float = 0.1, fused: bool = False, **muon: Any
    ) -> None:
        groups = [group if isinstance(group, dict) else {"params": [group]} for group in params]

        def part(matrices: bool) -> list[dict[str, Any]]:
            chosen = [{**g, "params": [p for p in g["params"] if (p.ndim == 2) == matrices]} for g in groups]
            return [group for group in chosen if group["params"]]

        self._parts: list[Optimizer] = []
        if part(matrices=True):
            self._parts.append(Muon(part(matrices=True), lr, weight_decay, **muon))
        if part(matrices=False):
            self._parts.append(AdamW(part(matrices=False), lr, weight_decay=weight_decay, fused=fused))
        # The groups are the parts' own, not copies, so that a schedule of this optimizer's rate reaches them.
        super().__init__([group for p in self._parts for group in p.param_groups], {"lr": lr, "momentum": 0.95})
        self._share_state()

    def _share_state(self) -> None:
        start = 0
        for part in self._parts:
            end = start + len(part.param_groups)
            part.state, part.param_groups = self.state, self.param_groups[start:end]
            start = end

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores both parts."""
        super().load_state_dict(state_dict)
        self._share_state()

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]  # overloads
        """Takes a step with both parts, after calling ``closure`` for the loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self._parts:
            part.step()
        return loss
