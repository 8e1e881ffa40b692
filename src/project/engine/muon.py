"""Muon for a whole model."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Muon, Optimizer


class MuonWithAdamW(Optimizer):
    """Muon on a net's hidden weight matrices, and AdamW on everything else.

    ``torch.optim.Muon`` orthogonalises matrices and takes nothing else (Jordan et al. 2024,
    https://kellerjordan.github.io/posts/muon/).

    Args:
        params: All parameters.
        hidden: Those of the parameters that are Muon's: matrices.
        lr: Learning rate of Muon. With ``adjust_lr_fn="match_rms_adamw"`` a rate that suits AdamW suits Muon.
        weight_decay: Weight decay of Muon.
        adamw_lr: Learning rate of AdamW; by default the same.
        adamw_weight_decay: Weight decay of AdamW; by default the same.
        fused: Whether AdamW runs fused.
        muon: Further arguments of ``torch.optim.Muon``.
    """

    def __init__(
        self,
        params: list[nn.Parameter],
        hidden: Iterable[Tensor],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        adamw_lr: float | None = None,
        adamw_weight_decay: float | None = None,
        fused: bool = False,
        **muon: Any,
    ) -> None:
        matrices = {id(p) for p in hidden}

        self._parts: list[Optimizer] = []
        if ours := [p for p in params if id(p) in matrices]:
            self._parts.append(Muon(ours, lr, weight_decay, **muon))
        if rest := [p for p in params if id(p) not in matrices]:
            rate = lr if adamw_lr is None else adamw_lr
            decay = weight_decay if adamw_weight_decay is None else adamw_weight_decay
            self._parts.append(AdamW(rest, rate, weight_decay=decay, fused=fused))
        # The groups are the parts' own, not copies, so that a schedule of this optimizer's rate reaches them.
        super().__init__([group for p in self._parts for group in p.param_groups], {"lr": lr, "momentum": 0.95})
        self._share_state()

    def _share_state(self) -> None:
        for part, group in zip(self._parts, self.param_groups, strict=True):
            part.state, part.param_groups = self.state, [group]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores both parts."""
        super().load_state_dict(state_dict)
        self._share_state()

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]  # overloads
        """Takes a step with both parts, after calling ``closure`` for the loss."""
        with torch.enable_grad():
            loss = None if closure is None else closure()
        for part in self._parts:
            part.step()
        return loss
