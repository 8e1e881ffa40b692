"""A tuning with logs in a temporary folder."""

from collections.abc import Callable
from pathlib import Path

import pytest
from small_tuning import tune


@pytest.fixture(name="tune")
def _tune(tmp_path: Path) -> Callable[..., Path]:
    return lambda *args, **settings: tune(tmp_path / "logs", *args, **settings)
