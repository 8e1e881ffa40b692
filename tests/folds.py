"""The folder of a cross-validation, as ``predict``, ``evaluate`` and ``export`` take it."""

import json
import shutil
from pathlib import Path

from project.fit import main


def make_folds(logs: Path, *args: str, num_folds: int = 3) -> Path:
    """Trains a run for each fold, in a folder whose report names them."""
    folds = [{"run": f"fold-{i + 1}"} for i in range(num_folds)]
    for i, fold in enumerate(folds):
        which = ["--data.num_folds", str(num_folds), "--data.fold", str(i), "--name", fold["run"], "--experiment", "cv"]
        assert main([*args, *which, "--trainer.max_epochs", "2", "--trainer.default_root_dir", str(logs)]) == 0
    (logs / "cv" / "report.json").write_text(json.dumps({"folds": folds}))
    shutil.copy(logs / "cv" / "fold-1" / "config.yaml", logs / "cv")
    return logs / "cv"
