"""Draws docs/compare.png: ``python tests/compare/picture.py [FOLDER]``, of a new comparison unless one is named."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from browser import browser, tensorboard, wait

from project.compare.__main__ import main

PICTURE = Path(__file__).parents[2] / "docs" / "compare.png"

DRAWN = """
const cards = findAll('tf-custom-scalar-margin-chart-card');
return cards.length == 2 && cards.every(card => findAll('path.area', card.shadowRoot).length >= arguments[0]);
"""
ENLARGE = """
const card = findAll('tf-custom-scalar-margin-chart-card').find(card => card.title == 'loss/val');
findAll('paper-icon-button[icon=fullscreen]', card.shadowRoot)[0].click();
// A band is not drawn where it leaves the chart, so all of it is to be in.
const boxes = findAll('tf-custom-scalar-dashboard').flatMap(page => findAll('paper-checkbox', page.shadowRoot));
boxes.find(box => box.textContent.includes('outliers')).click();
"""
ENLARGED = """
const boxes = findAll('tf-custom-scalar-margin-chart-card').map(card => card.getBoundingClientRect());
const widest = findAll('path.area').map(path => path.getBoundingClientRect().width);
return boxes[0].width > 600 && Math.max(...widest) > 500
  && [boxes[1].top, ...findAll('#toggle-all').map(button => button.getBoundingClientRect().top)];
"""


def draw(folder: Path) -> None:
    """Draws the bands of a comparison, as the custom-scalars page shows them."""
    runs = {path.parent.relative_to(folder).as_posix() for path in folder.rglob("events.out.tfevents.*")}
    with tensorboard(folder, runs) as address, browser(1180, 900) as page:
        page.open(f"{address}#custom_scalars&regexInput=median")
        wait(lambda: page.run(DRAWN, len(list(folder.glob("*/median")))), "the charts are not drawn")
        page.run(ENLARGE)
        ends = wait(lambda: page.run(ENLARGED), "the chart is not enlarged")
        picture = page.picture()
        picture.crop((0, 0, picture.width, round(min(ends)))).save(PICTURE, optimize=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        draw(Path(sys.argv[1]))
    else:
        with TemporaryDirectory() as logs:
            assert main(["--name", "picture", "--trainer.default_root_dir", logs]) == 0
            draw(Path(logs) / "compare" / "picture")
