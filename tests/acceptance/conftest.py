"""A real browser for the tests that look at the page."""

import os
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

NOTE = Path(__file__).resolve().parents[2] / ".venv" / "chromium-path"
NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium():
    """Return the browser's path; None lets Playwright use its own."""
    named = os.environ.get("SIDEWATCH_CHROMIUM")
    if named:
        return named
    if NOTE.is_file():
        return NOTE.read_text() or None
    return next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()
