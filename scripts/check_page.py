#!/usr/bin/env python3
"""Try the page of `tokfast show --html` in a real, headless Chromium, and keep screenshots.

usage: check_page.py FOLDER [TOKENIZER...]

Needs playwright, and a Chromium: its own (playwright install chromium) or that of the system. What is tried: pointing,
the keyboard, the search, two tokenizers, dark mode, a text that tries to break out; nothing may be fetched and nothing
may be complained about in the console. Screenshots go to FOLDER, to be looked at. tests/test_page.py checks the page's
structure without a browser.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from tokfast.analysis import render_page

TEXT = (
    "Tokenization splits unbelievably long words.\n\tdef naïve(café): return '你好, мир! 🙂👩‍👩‍👧'\n"
    "</script><script>document.title = 'broken'</script><img src=x onerror=\"document.title = 'broken'\"><!-- &amp; "
    "مرحبا بالعالم 12345\n"
)
EXPECTED_TITLE = "TEXT </script> & <b> · tokens"


def check(browser: Any, page_file: Path, folder: Path, n_panels: int) -> None:
    """Open a page in both colour schemes and use it."""
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme, viewport={"width": 1360, "height": 900})
        complaints: list[str] = []
        requests: list[str] = []
        page.on("console", lambda message, seen=complaints: seen.append(message.text))
        page.on("pageerror", lambda error, seen=complaints: seen.append(str(error)))
        page.on("request", lambda request, seen=requests: seen.append(request.url))
        page.goto(page_file.as_uri())
        assert page.title() == EXPECTED_TITLE, page.title()
        assert page.locator(".text").count() == n_panels
        assert page.locator(".text img, .text script, h1 b").count() == 0
        tokens = page.locator(".text").first.locator(".token")
        details = page.locator("#details")

        tokens.nth(2).hover()
        expected = tokens.nth(2).get_attribute("data-id")
        assert details.locator("dd").first.inner_text() == expected

        tokens.first.focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.dataset.id") == expected
        page.keyboard.press("End")
        last = tokens.last.get_attribute("data-id")
        assert details.locator("dd").first.inner_text() == last
        page.keyboard.press("Home")
        page.keyboard.press("Enter")  # kept: pointing elsewhere changes nothing
        first = tokens.first.get_attribute("data-id")
        tokens.nth(4).hover()
        assert details.locator("dd").first.inner_text() == first
        page.keyboard.press("Escape")
        tokens.nth(3).hover()
        longest = max(range(12), key=lambda n: len(tokens.nth(n).inner_text()))
        tokens.nth(longest).hover()
        assert details.locator("li").count() > 2  # a merge tree
        if n_panels > 1:
            assert page.locator(".text").nth(1).locator(".token.same").count() > 0
        page.screenshot(path=folder / f"{page_file.stem}-{scheme}.png")

        everything = page.locator("#found").inner_text()
        page.locator("#query").fill(" the")
        page.wait_for_function("old => document.getElementById('found').textContent !== old", arg=everything)
        entries = page.locator("#entries button")
        assert all("␣the" in text for text in entries.all_inner_texts())
        entries.first.focus()
        assert "the" in details.locator("h3").inner_text()
        page.locator("#vocabulary").scroll_into_view_if_needed()
        page.screenshot(path=folder / f"{page_file.stem}-{scheme}-vocabulary.png", full_page=True)
        assert not complaints, complaints
        assert requests == [page_file.as_uri()], requests
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than a phone"
        page.close()


def main(arguments: list[str]) -> None:
    """Write the pages and try them."""
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    names = arguments[1:] or ["tokfast-32k"]
    title = EXPECTED_TITLE.removesuffix(" · tokens")
    one, all_of_them = folder / "one.html", folder / "several.html"
    one.write_text(render_page(names[:1], TEXT, title=title), encoding="utf-8")
    all_of_them.write_text(render_page(names, TEXT, title=title), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        check(browser, one, folder, 1)
        check(browser, all_of_them, folder, len(names))
        browser.close()
    print(f"the pages work; look at the screenshots in {folder}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
