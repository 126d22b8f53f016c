"""The live page in a browser: names, focus, and a look that holds from desktop to phone.

Set TIMBREKIT_SCREENSHOTS to a folder to keep the screenshots for looking at.
"""

import os
from pathlib import Path

import pytest
from browser_support import until, until_hits_are_counted


def test_every_control_has_a_name_and_a_visible_focus(visit, address):
    page = visit(address["file"])
    controls = page.locator("button, select, input")
    nameless = controls.evaluate_all(
        """(all) => all.filter((control) => !(control.labels?.length || control.textContent.trim())
             && !control.hasAttribute("aria-label")).map((control) => control.outerHTML)"""
    )
    assert nameless == []
    page.keyboard.press("Tab")
    for _ in range(6):
        outline = "getComputedStyle(document.activeElement.closest('.button') ?? document.activeElement)"
        assert page.evaluate(f"{outline}.outlineStyle") == "solid"
        page.keyboard.press("Tab")


LOOKS = [
    ((1280, 900), "light"),
    ((1280, 900), "dark"),
    ((820, 1180), "light"),
    ((390, 844), "dark"),
    ((320, 640), "light"),
]


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_the_look_holds_at_desktop_and_phone_size(visit, address, site, tmp_path, size, scheme):
    page = visit(
        address["file"], viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, has_touch=True
    )
    page.set_input_files("#file", site / "take.wav")
    until_hits_are_counted(page, "take.wav")
    page.keyboard.press("w")
    until(page, "timbrekit.hits.length === 1")
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    spilled = page.locator("main *").evaluate_all(
        """(all) => all.filter((one) => one.getBoundingClientRect().right > innerWidth + 1
             && !one.closest(".hidden-text")).map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert spilled == []
    small = page.locator("button:visible, select:visible").evaluate_all(
        "(all) => all.map((one) => one.getBoundingClientRect().height).filter((height) => height < 32)"
    )
    assert small == []
    folder = Path(os.environ.get("TIMBREKIT_SCREENSHOTS", tmp_path))
    picture = page.screenshot(full_page=True, path=folder / f"page-{size[0]}-{scheme}.png")
    assert len(picture) > 20_000  # not an empty page
