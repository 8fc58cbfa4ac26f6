import os
import shutil
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
)
#: Canvases draw after their data has arrived.
SETTLE_MS, READY_WITHIN_MS = 1500, 60_000
QUALITY = 72


@dataclass(frozen=True)
class Screen:
    """A page by its path, or by the selector of a link on another page."""

    name: str
    title: str
    path: str
    link: str = ""
    #: Selector that exists once the page is drawn.
    ready: str = ""


@dataclass(frozen=True)
class Variant:
    """A color scheme, screen size and language."""

    name: str
    title: str
    options: dict[str, Any] = field(default_factory=dict)


SCREENS = (
    Screen("home", "NOC home", "/"),
    Screen("incidents", "Incident queue", "/incidents/"),
    Screen("incident", "An incident", "/incidents/?severity=critical", ".inc .t a"),
    Screen("map", "Map", "/map/", ready="[data-map][data-drawn]"),
    Screen("topology", "Topology", "/topology/"),
    Screen("devices", "Devices", "/devices/"),
    Screen("device", "A device", "/devices/?q=cr2", "td a[href^='/devices/']"),
    Screen("sites", "Sites", "/sites/"),
    Screen("site", "A site", "/sites/", "td a[href^='/sites/']"),
    Screen("alerts", "Open alerts", "/alerts/"),
    Screen("maintenance", "Maintenance", "/maintenance/?state=all"),
    Screen("plan", "Planning maintenance", "/incidents/", "[data-plan]"),
    Screen("agents", "Agents", "/agents/"),
    Screen("webhooks", "Webhook deliveries", "/webhooks/"),
    Screen("search", "Search", "/search/?q=cr"),
    Screen("wallboard", "Wallboard", "/?kiosk=1"),
    Screen("admin", "The admin", "/admin/"),
    Screen("admin-devices", "Devices in the admin", "/admin/inventory/device/"),
    Screen(
        "admin-device",
        "A device in the admin",
        "/admin/inventory/device/",
        "#result_list tbody th a",
    ),
    Screen("fault", "Page not found", "/there-is-no-such-page/"),
)
VARIANTS = (
    Variant("dark", "Dark", {"color_scheme": "dark", "viewport": DESKTOP}),
    Variant("light", "Light", {"color_scheme": "light", "viewport": DESKTOP}),
    Variant(
        "phone",
        "Phone",
        {"color_scheme": "dark", "viewport": PHONE, "is_mobile": True, "has_touch": True},
    ),
    Variant("arabic", "Arabic", {"color_scheme": "dark", "viewport": DESKTOP, "locale": "ar"}),
)


class Command(BaseCommand):
    help = (
        "Take screenshots of every page of a running console, dark, light, on a phone and in Arabic, with an"
        " index. The password comes from ISPVM_GALLERY_PASSWORD."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--url", default=settings.ISPVM_PUBLIC_URL, help="URL of the console")
        parser.add_argument("--email", required=True, help="user to sign in as")
        parser.add_argument("--out", type=Path, default=settings.BASE_DIR / "docs" / "gallery")
        parser.add_argument("--only", help="names of pages, separated by commas")

    def handle(self, *args: Any, **options: Any) -> None:
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        password = os.environ.get("ISPVM_GALLERY_PASSWORD", "")
        if not chromium or not password:
            raise CommandError("This needs a Chromium on the PATH, and ISPVM_GALLERY_PASSWORD.")
        only = set(options["only"].split(",")) if options["only"] else None
        screens = [screen for screen in SCREENS if only is None or screen.name in only]
        out: Path = options["out"]
        out.mkdir(parents=True, exist_ok=True)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
            for variant in VARIANTS:
                page = _signed_in(browser, variant, options["url"], options["email"], password)
                for screen, screenshot in _screenshots(page, options["url"], screens):
                    file = out / f"{screen.name}-{variant.name}.webp"
                    _as_image(screenshot).save(file, "WEBP", quality=QUALITY, method=6)
                    self.stdout.write(f"{file.name} {file.stat().st_size // 1024} KiB")
            browser.close()
        (out / "README.md").write_text(_index(out), encoding="utf-8")


def _signed_in(browser: Browser, variant: Variant, url: str, email: str, password: str) -> Page:
    page = browser.new_context(**variant.options).new_page()
    page.goto(f"{url}/")
    page.fill("input[type=email]", email)
    page.fill("input[type=password]", password)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda address: "sign-in" not in address)
    return page


def _screenshots(page: Page, url: str, screens: list[Screen]) -> Iterator[tuple[Screen, bytes]]:
    for screen in screens:
        page.goto(url + screen.path)
        if screen.link:
            link = page.locator(screen.link).first
            if not link.count():
                continue
            leads_to = link.get_attribute("href") or link.get_attribute("data-plan")
            page.goto(url + (leads_to or "/"))
        if screen.ready:
            page.wait_for_selector(screen.ready, timeout=READY_WITHIN_MS)
        page.wait_for_timeout(SETTLE_MS)
        yield screen, page.screenshot()


def _as_image(screenshot: bytes) -> Image.Image:
    return Image.open(BytesIO(screenshot)).convert("RGB")


def _index(out: Path) -> str:
    lines = [
        "# Gallery",
        "",
        "Every page, as screenshots of `manage gallery` of the fictitious ISP of `manage seed_demo`. To renew them:",
        "",
        "```",
        "python3 run.py manage seed_demo --size small --password ...",
        "python3 run.py manage collectstatic --no-input",
        "python3 run.py manage runserver --noreload 127.0.0.1:8000     # in another terminal",
        "python3 run.py manage seed_demo --size small --password ...   # the samples since",
        "export ISPVM_GALLERY_PASSWORD=...",
        "python3 run.py manage gallery --url http://127.0.0.1:8000 --email admin@riverbend.example",
        "```",
        "",
        "Or of `python3 run.py demo`, which prints its URL and its users; inject a failure to see incidents.",
    ]
    for screen in SCREENS:
        shown = [
            variant for variant in VARIANTS if (out / f"{screen.name}-{variant.name}.webp").exists()
        ]
        if not shown:
            continue
        heads = " | ".join(variant.title for variant in shown)
        cells = " | ".join(
            f"![{screen.title}, {variant.title.lower()}]({screen.name}-{variant.name}.webp)"
            for variant in shown
        )
        lines += [
            "",
            f"## {screen.title}",
            "",
            f"| {heads} |",
            "|" + "---|" * len(shown),
            f"| {cells} |",
        ]
    return "\n".join(lines) + "\n"
