"""First contentful paint of the home page in a real browser; nothing without a browser."""

from collections.abc import Iterator, Mapping
from shutil import which
from statistics import median
from typing import Any

from apps.lab.bench.figures import Figure
from apps.lab.bench.serving import LOOPBACK

#: On a busy machine the page may be loaded before it is painted.
_PAINTED = """new Promise((done) => new PerformanceObserver((list) => {
  const [first] = list.getEntriesByName("first-contentful-paint");
  if (first) done(first.startTime);
}).observe({ type: "paint", buffered: true }))"""
_LOADED = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"


def first_paint(
    port: int, cookies: Mapping[str, str], *, rounds: int, most: float
) -> Iterator[Figure]:
    """First contentful paint of the home with its content in place, cold cache each time; the median."""
    chromium = which("chromium")
    if chromium is None:
        return
    from playwright.sync_api import sync_playwright

    url = f"http://{LOOPBACK}:{port}"
    painted: list[float] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for _ in range(max(rounds, 3)):
            context = browser.new_context()
            context.add_cookies(
                [{"name": name, "value": value, "url": url} for name, value in cookies.items()]
            )
            page: Any = context.new_page()
            page.goto(f"{url}/", wait_until="load")
            painted.append(max(page.evaluate(_PAINTED), page.evaluate(_LOADED)))
            context.close()
        browser.close()
    yield Figure("home, first usable paint", median(painted), "ms", most)
