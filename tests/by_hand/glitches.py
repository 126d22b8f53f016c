"""Whether a page plays on without a gap: ``python -m tests.by_hand.glitches PAGE.html [SECONDS]``.

Chromium plays the page's own loop, and its ``AudioContext.playbackStats`` counts what came too late for the output.
What came too late while the page began is said apart. Needs Playwright and Chromium, and an otherwise idle machine.
"""

import shutil
import sys
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

BEGINNING = 3.0  # seconds, in which the page compiles its code
STATS = """(() => {
  const { underrunEvents, underrunDuration, totalDuration } = timbrekit.sound.context.playbackStats;
  return [underrunEvents, underrunDuration, totalDuration];
})()"""


def main(page: str, seconds: str = "600") -> None:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page()
        tab.goto(Path(page).resolve().as_uri())
        while not tab.is_enabled("#play"):
            time.sleep(0.1)
        tab.check("#loop")
        tab.click("#play")
        time.sleep(BEGINNING)
        gaps, lost, played = tab.evaluate(STATS)
        print(f"Beginning: {gaps} gaps, {1000 * lost:.0f} ms, in {played:.1f} s of sound")
        time.sleep(float(seconds))
        later = [now - then for now, then in zip(tab.evaluate(STATS), (gaps, lost, played), strict=True)]
        print(f"Then: {later[0]} gaps, {1000 * later[1]:.1f} ms, in {later[2]:.0f} s of sound")
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
