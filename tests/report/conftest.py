"""Pages that are files, opened in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def tolerated() -> tuple[str, ...]:
    """How messages and addresses begin that are no fault; a module may say its own."""
    return ()


@pytest.fixture
def visit(chromium, tolerated):
    """Opens a page; in the end none must have complained or asked for anything but itself."""
    from helpers.browser import WIDE  # without a browser all that asks for this is skipped

    contexts, opened, asked, said = [], [], [], []

    def visit(path: Path, viewport=WIDE, scheme="light", **more):
        context = chromium.new_context(
            viewport=viewport, color_scheme=scheme, offline=True, accept_downloads=True, **more
        )
        contexts.append(context)
        context.on("request", lambda request: asked.append(request.url))
        tab = context.new_page()
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("domcontentloaded", lambda _: opened.append(path.as_uri()))  # again when reloaded
        tab.goto(path.as_uri())
        return tab

    yield visit
    for context in contexts:
        context.close()
    fetched = [url for url in asked if not url.startswith(("data:", *tolerated))]
    assert sorted(fetched) == sorted(opened)
    assert [text for text in said if not text.startswith(tolerated)] == []
