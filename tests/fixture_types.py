"""What the fixtures of conftest.py and of pytest give, by shorter names."""

from collections.abc import Callable
from pathlib import Path

import pytest

Capture = pytest.CaptureFixture[str]
Fit = Callable[..., Path]
Refused = Callable[..., None]
