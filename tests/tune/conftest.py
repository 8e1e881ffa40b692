"""A tuning with logs in a temporary folder."""

from pathlib import Path

import pytest
from fixture_types import Fit
from small_tuning import tune


@pytest.fixture(name="tune")
def _tune(tmp_path: Path) -> Fit:
    return lambda *args, **settings: tune(tmp_path / "logs", *args, **settings)
