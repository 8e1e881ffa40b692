"""The reports of runs, and of what is made of many."""

import json
from pathlib import Path
from typing import Any


def read_report(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return report
