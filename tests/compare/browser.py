"""TensorBoard in a headless browser: Chromium, by the WebDriver protocol (https://www.w3.org/TR/webdriver2)."""

import base64
import io
import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from PIL import Image

Value = TypeVar("Value")

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]

# The pages nest their elements in shadow roots, into which querySelectorAll does not look.
FIND_ALL = """
const findAll = (selector, root = document) => [...root.querySelectorAll('*')].flatMap(e =>
  [...(e.matches(selector) ? [e] : []), ...(e.shadowRoot ? findAll(selector, e.shadowRoot) : [])]);
"""


def wait(condition: Callable[[], Value], what: str) -> Value:
    """The first value of a condition that is neither None, False, nor empty; it has a minute."""
    end = time.monotonic() + 60
    while not (value := condition()):
        assert time.monotonic() < end, f"after a minute, {what}"
        time.sleep(0.2)
    return value


class Browser:
    """A browser with one page.

    Args:
        address: Where its driver takes commands.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def call(self, method: str, path: str, content: dict[str, Any] | None = None) -> Any:
        """Sends a command of the protocol and returns the answer's value."""
        data = json.dumps(content or {}).encode() if method == "POST" else None
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._address + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["value"]

    def open(self, address: str) -> None:
        """Loads a page afresh, though only the part of its address after # be new."""
        self.call("POST", "/url", {"url": "about:blank"})
        self.call("POST", "/url", {"url": address})

    def run(self, script: str, *args: Any) -> Any:
        """What a script returns, in which ``findAll`` finds elements by a selector."""
        return self.call("POST", "/execute/sync", {"script": FIND_ALL + script, "args": args})

    def picture(self) -> Image.Image:
        """The page as one sees it."""
        return Image.open(io.BytesIO(base64.b64decode(self.call("GET", "/screenshot")))).convert("RGB")


@contextmanager
def browser(width: int, height: int) -> Iterator[Browser]:
    """Starts a browser with a window of that size, in pixels.

    Raises:
        FileNotFoundError: If it is not installed.
    """
    program, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if program is None or driver is None:
        raise FileNotFoundError("a browser is needed: apt-get install chromium chromium-driver")
    folder, ready = TemporaryDirectory(ignore_cleanup_errors=True), r"successfully on port (\d+)"
    with folder as profile, _started([driver, "--port=0"], ready) as port:
        starter = Browser(f"http://127.0.0.1:{port}/session")
        args = [*FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"]
        options = {"browserName": "chrome", "goog:chromeOptions": {"binary": program, "args": args}}
        session = starter.call("POST", "", {"capabilities": {"alwaysMatch": options}})
        page = Browser(f"http://127.0.0.1:{port}/session/{session['sessionId']}")
        try:
            yield page
        finally:
            page.call("DELETE", "")


@contextmanager
def tensorboard(folder: Path, runs: set[str]) -> Iterator[str]:
    """Serves a folder, and gives the address as soon as all runs are read.

    Args:
        folder: The folder.
        runs: The runs that there are, and no others.
    """
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--port", "0"]
    with _started(command, r"TensorBoard \S+ at (http://\S+/)") as address:
        wait(lambda: _runs(address) == runs, "TensorBoard does not show just these runs")
        yield address


def _runs(address: str) -> set[str]:
    with urllib.request.urlopen(address + "data/runs", timeout=60) as answer:
        return set(json.load(answer))


@contextmanager
def _started(command: list[str], sign: str) -> Iterator[str]:
    """Runs a program until the end of the block; gives what it prints in the brackets of a regular expression."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            found = (match[1] for line in process.stdout if (match := re.search(sign, line)))
            value = next(found, None)
            assert value is not None, f"{command} has ended before it was ready"
            yield value
        finally:
            process.terminate()
