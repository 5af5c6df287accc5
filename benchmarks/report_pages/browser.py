"""Which browser looks at pages, and how is it started so that it leaves the network alone?"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from provq_protein.extras import require_extra

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WAIT = 120_000
"""Milliseconds to wait for the viewer at most: without a graphics card it is slow."""

# No network, no updates, and WebGL by the processor.
_FLAGS = (
    "--no-sandbox", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--disable-quic", "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)  # fmt: skip


def chromium() -> str | None:
    """
    Return the browser to use.

    Returns
    -------
    str or None
        What PROVQ_CHROMIUM names, or the first of `BROWSERS` on the path; None without either.
    """
    named = os.environ.get("PROVQ_CHROMIUM")
    return named or next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def started(executable: str) -> Iterator[Any]:
    """
    Start a browser, and end it.

    Parameters
    ----------
    executable : str
        From `chromium`.

    Yields
    ------
    Browser
        Of playwright.

    Raises
    ------
    MissingExtraError
        If playwright is not installed.
    """
    driver = require_extra("playwright.sync_api", extra="dev", purpose="looking at pages")
    with driver.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=executable, args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()
