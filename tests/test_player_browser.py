"""The player in a real browser: what is heard is read from the sound itself, sample by sample."""

import shutil

import numpy as np
import pytest

from timbrekit.notebook.player import PLAY_HIT, Marks, marks_html, player_html

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install playwright)")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if CHROMIUM is None:
    pytest.skip("needs Chromium (apt install chromium)", allow_module_level=True)

ADDRESS = "http://localhost/notebook"  # nothing is fetched
RATE, SECONDS = 48_000, 12.0
HITS = (1.0, 2.5, 4.0, 4.4, 9.0)
EARLY = 0.01  # s before a hit that its sound begins
TOP = 0.8  # of the ramps below

# A ramp tells by its level which sample is heard, and by its sign of which version.
RAMP = np.linspace(0, TOP, round(RATE * SECONDS), dtype=np.float32)
SOUNDS = {"You": RAMP, "808": -RAMP}
LISTEN = """() => { const context = timbrekit.sound(); window.ear = context.createAnalyser(); ear.fftSize = 32768;
    const connect = AudioNode.prototype.connect;
    AudioNode.prototype.connect = function (to, ...more) {
        if (to === context.destination && this !== ear) connect.call(this, ear);
        return connect.call(this, to, ...more); };
    connect.call(ear, context.destination); }"""
NOTE_RUNS = """() => { const play = timbrekit.play.bind(timbrekit); timbrekit.runs = [];
    timbrekit.play = async at => { await play(at); timbrekit.runs.push([timbrekit.run.at, timbrekit.run.end]); }; }"""
HEARD = "() => { const all = new Float32Array(32768); ear.getFloatTimeDomainData(all); return [...all]; }"


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def show(browser):
    """show(html, ...): the players' frames, in a page as a notebook's output, each once it is ready."""
    context = browser.new_context(viewport={"width": 1000, "height": 900})

    def shown(*players):
        page = context.new_page()
        page.set_default_timeout(20_000)
        body = "<!doctype html>" + "".join(players)
        page.route("**/*", lambda route: route.fulfill(body=body, content_type="text/html; charset=utf-8"))
        page.goto(ADDRESS)
        frames = [frame for frame in page.frames if frame != page.main_frame]
        for frame in frames:
            frame.wait_for_function("!document.getElementById('play').disabled")
            frame.evaluate(LISTEN)
        return frames

    yield shown
    context.close()


def ramps(together=None, **more):
    return player_html(SOUNDS, RATE, Marks(HITS), together, **more)


def places(heard):
    """Seconds of the take that each sample comes from, by its level."""
    return np.abs(np.array(heard)) / TOP * SECONDS


def wait_for(frame, seconds):
    """Until the take has come so far."""
    frame.wait_for_function("seconds => timbrekit.position() > seconds", arg=seconds)


NOTE_WORDS = """(() => {
  globalThis.said = [];
  const words = document.getElementById("words");
  new MutationObserver(() => said.push(words.textContent)).observe(words, { childList: true, characterData: true });
})()"""


def click_at(frame, seconds):
    wave = frame.locator("#wave")
    box = wave.bounding_box()
    wave.click(position={"x": box["width"] * seconds / SECONDS, "y": 50})


def test_a_change_of_version_keeps_the_place_to_the_sample(show):
    (frame,) = show(ramps())
    frame.evaluate("timbrekit.play(3)")
    wait_for(frame, 3.4)
    frame.get_by_role("button", name="808").click()
    wait_for(frame, frame.evaluate("timbrekit.position()") + 0.25)
    heard = np.array(frame.evaluate(HEARD))
    assert heard[0] > 0.1 and heard[-1] < -0.1  # the change is in the middle of what was read
    time = np.arange(len(heard))
    outer = (time < 1000) | (time >= len(heard) - 1000)
    line = np.polyfit(time[outer], places(heard)[outer], 1)
    assert line[0] * RATE == pytest.approx(1, abs=1e-3)  # one second of the take a second, across the change
    other = np.flatnonzero(np.abs(places(heard) - np.polyval(line, time)) > 0.002)
    assert (
        0 < np.ptp(other) + 1 == len(other) <= 0.006 * RATE
    )  # but for some milliseconds from one to the other


def test_loop_goes_round_without_a_gap(show):
    (frame,) = show(ramps())
    frame.get_by_role("button", name="Loop").click()
    frame.evaluate("timbrekit.stretch = [5, 5.3]; timbrekit.play(5)")
    frame.wait_for_function("timbrekit.sound().currentTime - timbrekit.run.when > 1.2")
    heard = places(frame.evaluate(HEARD))
    assert 4.99 < heard.min() and heard.max() < 5.31
    turns = np.flatnonzero(np.diff(heard) < -0.2)
    assert len(turns) in (2, 3) and np.diff(turns) == pytest.approx(0.3 * RATE, abs=2)
    assert frame.evaluate("timbrekit.playing")
    frame.get_by_role("button", name="Loop").click()  # off: it plays on to the end of the stretch, and stops
    frame.wait_for_function("!timbrekit.playing")


def test_a_click_on_a_hit_is_heard_from_there(show):
    (frame,) = show(ramps())
    frame.evaluate(NOTE_WORDS)
    click_at(frame, HITS[1] + 0.04)  # some pixels beside it
    wait_for(frame, HITS[1] + 0.1)
    heard = places(frame.evaluate(HEARD))
    first = heard[heard > 0.1][round(0.008 * RATE)]  # once it has faded in
    assert first == pytest.approx(HITS[1] - EARLY + 0.008, abs=0.003)
    assert next(filter(None, frame.evaluate("said"))).startswith("hit 2 of 5")
    wait_for(frame, HITS[2] + 0.1)  # and on
    click_at(frame, 7.0)  # far from any hit: from just there
    wait_for(frame, 7.05)
    assert 6.9 < frame.evaluate("timbrekit.run.at") < 7.1


def test_hit_by_hit_ends_at_the_next_one(show):
    (frame,) = show(ramps())
    frame.get_by_role("button", name="Hit by hit").click()
    click_at(frame, HITS[2])
    frame.wait_for_function(
        "!timbrekit.playing && timbrekit.run === null && timbrekit.context.currentTime > 0.5"
    )
    heard = places(frame.evaluate(HEARD))
    assert HITS[3] - EARLY - 0.01 < heard.max() <= HITS[3] - EARLY + 1e-3
    frame.get_by_title("The next hit", exact=True).click()
    frame.wait_for_function("timbrekit.hit === 3")
    assert "hit 4 of 5" in frame.locator("#words").inner_text()


def test_a_dragged_stretch_is_all_that_is_heard(show):
    (frame,) = show(ramps())
    box = frame.locator("#wave").bounding_box()
    mouse, y = frame.page.mouse, box["y"] + 50
    mouse.move(box["x"] + box["width"] * 6 / SECONDS, y)
    mouse.down()
    mouse.move(box["x"] + box["width"] * 6.4 / SECONDS, y, steps=4)
    mouse.up()
    frame.wait_for_function("timbrekit.context && timbrekit.context.currentTime > 0.3 && !timbrekit.playing")
    heard = places(frame.evaluate(HEARD))
    assert 6.35 < heard.max() < 6.45
    click_at(frame, 8.0)  # and all of it again
    wait_for(frame, 8.1)
    assert frame.evaluate("timbrekit.range()[1]") == pytest.approx(SECONDS)


def test_only_one_of_two_players_sounds(show):
    first, second = show(ramps(), ramps())
    first.evaluate("timbrekit.play(0)")
    first.wait_for_function("timbrekit.playing")
    second.locator("#play").click()
    first.wait_for_function("!timbrekit.playing")
    assert second.evaluate("timbrekit.playing") and "Play" in first.locator("#play").inner_text()


def test_both_together_is_added_up_in_the_browser(show):
    (frame,) = show(ramps(together={"Both": {"You": 0.75, "808": 0.25}}))
    frame.get_by_role("button", name="Both").click()
    frame.evaluate("timbrekit.play(6)")
    wait_for(frame, 6.5)
    heard = np.array(frame.evaluate(HEARD))[-8000:]
    rise = np.polyfit(np.arange(len(heard)), heard, 1)[0] * RATE  # of the sum, a second
    assert rise == pytest.approx((0.75 - 0.25) * TOP / SECONDS, rel=0.01)


def test_marks_follow_and_the_table_of_hits_plays_one(show):
    table = f'<div data-sound="one" onclick="{PLAY_HIT}"><button data-hit="1">▶</button></div>'
    (frame,) = show(
        ramps(name="one"), f'<div id="here">{marks_html("one", Marks((3.0, 4.0), (3.1,)))}</div>', table
    )
    frame.wait_for_function("timbrekit.marks.hits.length === 2")
    frame.evaluate(NOTE_RUNS)
    frame.page.locator("button[data-hit]").click()
    frame.wait_for_function("timbrekit.runs.length === 1")
    assert frame.evaluate("timbrekit.runs[0]") == pytest.approx([3.99, 4.99])
    assert "heard, but too close to another (1)" in frame.locator("#legend").inner_text()
    frame.page.evaluate("html => { here.innerHTML = html; }", marks_html("one", Marks((5.0,))))
    frame.wait_for_function("timbrekit.marks.hits.length === 1")


@pytest.mark.parametrize("sandbox", ["allow-scripts"])
def test_it_plays_where_the_frame_may_see_nothing_of_the_page(show, sandbox):
    html = ramps(name="alone", autoplay=True).replace("<iframe ", f'<iframe sandbox="{sandbox}" ')
    (frame,) = show(html, marks_html("alone", Marks((1.0,))))
    wait_for(frame, 0.2)
    frame.get_by_role("button", name="808").click()
    assert frame.evaluate("timbrekit.playing && timbrekit.version === 1 && timbrekit.marks.hits.length === 5")


def test_a_title_cannot_break_the_page(show):
    title = "</script><b>x</b>"
    (frame,) = show(player_html({title: RAMP, "b": RAMP}, RATE))
    assert frame.locator("#versions button").first.inner_text() == title
