"""A user's way through 00_quickstart, in JupyterLab in a real browser: slider, play, train, download.

Set TIMBREKIT_SCREENSHOTS to a folder to keep pictures of every step.
"""

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import pytest
import soundfile

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install playwright)")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if CHROMIUM is None:
    pytest.skip("needs Chromium (apt install chromium)", allow_module_level=True)
# The Python that has JupyterLab: another one where this one has Colab's ipywidgets 7, which JupyterLab 4 cannot show.
PYTHON = os.environ.get("TIMBREKIT_LAB_PYTHON", sys.executable)
VERSIONS = "from importlib.metadata import version as v; print(v('jupyterlab'), v('ipywidgets'))"
found = subprocess.run([PYTHON, "-c", VERSIONS], capture_output=True, text=True)
if found.returncode:
    pytest.skip("needs JupyterLab and ipywidgets (the notebooks extra)", allow_module_level=True)
LAB, WIDGETS = (int(version.split(".")[0]) for version in found.stdout.split())
if LAB >= 4 and WIDGETS < 8:
    pytest.skip(
        f"JupyterLab {LAB} shows the widgets of ipywidgets 8 only, and here is {WIDGETS}: set TIMBREKIT_LAB_PYTHON "
        "to a Python with both",
        allow_module_level=True,
    )

import numpy as np  # noqa: E402
from takes import RATE, varied_strokes  # noqa: E402

from timbrekit.export.check import check_model  # noqa: E402
from timbrekit.results.bundle import bundle_contents  # noqa: E402

REPOSITORY = Path(__file__).resolve().parents[1]
LONGEST_RUN_MS = (
    int(os.environ.get("TIMBREKIT_PATIENCE_S", "400")) * 1000
)  # a quiet machine takes half a minute
TOKEN = "browser-test"
LAB_SETTINGS = {  # every cell stays in the page, so that it can be looked for
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
# Words that stand there for a moment only, perhaps for less than a frame.
WATCH = """words => { window.wasSaid = false;
    new MutationObserver(changes => { for (const change of changes) for (const node of change.addedNodes)
        if (node.textContent.includes(words)) window.wasSaid = true; }).observe(
            document.body, {childList: true, subtree: true}); }"""
NOTE_RUNS = """() => { const play = timbrekit.play.bind(timbrekit); timbrekit.runs = [];
    timbrekit.play = async at => { await play(at); timbrekit.runs.push([timbrekit.run.at, timbrekit.run.end]); }; }"""
READY = """async () => { const panel = window.jupyterapp.shell.currentWidget;
    await panel.context.ready; await panel.sessionContext.ready; await panel.sessionContext.session.kernel.info; }"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Address of a JupyterLab of its own, in a folder with a copy of the notebooks."""
    home = tmp_path_factory.mktemp("home")
    for name in ("notebooks", "sample_audio"):
        shutil.copytree(REPOSITORY / name, home / name)
    for name, values in LAB_SETTINGS.items():
        file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "TIMBREKIT_FAST": "1",
        "PYTHONPATH": str(REPOSITORY),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
    }
    command = [PYTHON, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser"]
    command += [
        f"--ServerApp.port={port}",
        f"--IdentityProvider.token={TOKEN}",
        f"--ServerApp.root_dir={home}",
    ]
    log = home / "lab.log"
    with log.open("wb") as out:
        server = subprocess.Popen(command, cwd=home, env=environment, stdout=out, stderr=out)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/api?token={TOKEN}", timeout=2)
                break
            except (urllib.error.URLError, OSError):
                assert server.poll() is None, log.read_text()
                time.sleep(0.5)
        yield f"{address}/lab/tree/notebooks/00_quickstart.ipynb?token={TOKEN}", home
    finally:
        server.terminate()
        server.wait(timeout=20)


@pytest.fixture(scope="module")
def page(lab):
    address, _ = lab
    with sync_api.sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_context(viewport={"width": 1280, "height": 1000}, accept_downloads=True).new_page()
        page.set_default_timeout(60_000)
        page.goto(address)
        page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=120_000)
        page.evaluate(READY)  # a notebook whose kernel is still starting ignores "run"
        yield page
        browser.close()


def cell(page, title):
    """The code cell of a step."""
    return page.locator(".jp-CodeCell", has_text=title)


def player_in(cell):
    """The frame of a step's player, ready to play."""
    place = cell.locator("iframe.timbrekit-player").first
    for _ in range(100):
        frame = place.element_handle().content_frame()
        if frame is not None:
            break
        cell.page.wait_for_timeout(100)
    frame.wait_for_function("!document.getElementById('play').disabled")
    return frame


def keep(page, name):
    """A screenshot, where they are wanted."""
    folder = os.environ.get("TIMBREKIT_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png")


def show(locator, page, name):
    locator.scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    keep(page, name)


def run_in_a_new_cell(page, source):
    """The cell, at the notebook's end."""
    page.evaluate(
        """async (source) => {
            const panel = window.jupyterapp.shell.currentWidget;
            await window.jupyterapp.commands.execute('notebook:move-cursor-down');
            const model = panel.content.model.sharedModel;
            model.insertCell(model.cells.length, {cell_type: 'code', source});
            panel.content.activeCellIndex = panel.content.widgets.length - 1;
            window.jupyterapp.commands.execute('notebook:run-cell');
        }""",
        source,
    )
    cells = page.locator(".jp-CodeCell")
    return cells.nth(cells.count() - 1)


def test_a_user_gets_from_the_sample_to_a_zip(page):
    keep(page, "0-opened")
    page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")

    hits = cell(page, "3 · Your hits")
    table = hits.locator("table", has=page.locator("button[data-hit]"))
    table.wait_for(timeout=LONGEST_RUN_MS)
    rows = table.locator("button[data-hit]").count()
    player = player_in(hits)
    assert player.evaluate("timbrekit.marks.hits.length") == rows
    assert rows > 100

    link = cell(page, "8 · Download").locator("a[download]")
    link.wait_for(timeout=LONGEST_RUN_MS)
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']").count() == 0
    assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    for number, title in enumerate(
        ["2 · Your recording", "3 · Your hits", "4 · Train and play", "5 · The sound"], 2
    ):
        show(cell(page, title), page, f"{number}-after-run-all")

    # The detector's slider: the player's marks and the table follow.
    words = hits.locator("b").first.inner_text()
    handle = hits.locator(".noUi-handle, .ui-slider-handle").first
    handle.scroll_into_view_if_needed()
    handle.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "([cell, words]) => cell.querySelector('b').innerText !== words", arg=[hits.element_handle(), words]
    )
    player.wait_for_function(f"timbrekit.marks.hits.length < {rows}")
    left = player.evaluate("timbrekit.marks.hits.length")
    assert 0 < left == table.locator("button[data-hit]").count()
    show(table, page, "3-slider-moved")

    # One hit is played, and stops by itself.
    player.evaluate(NOTE_RUNS)
    table.locator("button[data-hit]").nth(4).click()
    player.wait_for_function("timbrekit.runs.length === 1 && !timbrekit.playing")
    assert player.evaluate("timbrekit.runs[0]") == player.evaluate("timbrekit.span(4)")

    # Back again: what follows is of these choices once more.
    hits.get_by_role("button", name="Suggested").click()
    page.wait_for_function("!document.querySelector('.timbrekit-outdated')")

    # The four versions: a change goes on at its place; starting this player stops the other.
    versions = player_in(cell(page, "6 · Listen"))
    titles = versions.locator("#versions button").all_inner_texts()
    assert titles == ["You", "808", "Preset", "Both"]
    show(cell(page, "6 · Listen").locator("iframe"), page, "6-listen")
    player.locator("#play").click()
    player.wait_for_function("timbrekit.playing")
    versions.evaluate("timbrekit.play(10)")
    versions.wait_for_function("timbrekit.position() > 10.2")
    assert not player.evaluate("timbrekit.playing")
    versions.get_by_role("button", name="You").click()
    versions.wait_for_function("timbrekit.position() > 10.6")
    assert versions.evaluate("timbrekit.run.at") == 10  # not started again
    versions.locator("#play").click()
    assert not versions.evaluate("timbrekit.playing")
    show(cell(page, "6 · Listen").locator("img").last, page, "6-timbre-space")
    show(cell(page, "7 · Verdict").locator("img").last, page, "7-verdict")

    # The zip.
    show(link, page, "8-download")
    with page.expect_download() as download:
        link.click()
    with zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())) as archive:
        assert archive.testzip() is None
        stem = "snare_minute as Snare 1"
        assert download.value.suggested_filename == f"{stem}.zip"
        assert set(archive.namelist()) == set(bundle_contents(stem))
        model = Path(download.value.path()).with_name("model.pt")
        model.write_bytes(archive.read(f"{stem}.pt"))
    assert check_model(model).ready


def test_from_upload_to_sound_in_three_clicks(page, lab):
    """A file of one's own, the button below it, a pad: everything in its place follows, and the pad sounds."""
    _, home = lab
    samples, rate = soundfile.read(
        home / "sample_audio" / "snare_minute.flac", start=9 * 48_000, dtype="float32"
    )
    own = home / "my own take.wav"
    soundfile.write(own, samples[: 12 * rate], rate)
    recording, train = cell(page, "2 · Your recording"), cell(page, "4 · Train and play")
    with page.expect_file_chooser() as chooser:
        recording.get_by_text("Choose a sound file").click()  # 1
    chooser.value.set_files(own)
    recording.get_by_text('"my own take.wav": 12.0 s').wait_for()
    cell(page, "3 · Your hits").locator(".timbrekit-outdated").wait_for()
    train.locator(".timbrekit-outdated").first.wait_for()
    show(train, page, "10-outdated")
    page.evaluate(WATCH, "Finding the hits …")
    recording.get_by_text("Find its hits, train and play").click()  # 2
    page.wait_for_function("window.wasSaid", timeout=LONGEST_RUN_MS)
    train.get_by_text("Training is done").wait_for(timeout=LONGEST_RUN_MS)
    page.wait_for_function(
        "cell => cell.querySelectorAll('.timbrekit-outdated').length === 0",
        arg=train.element_handle(),
        timeout=LONGEST_RUN_MS,
    )
    instrument = train.frame_locator("iframe")
    pad = instrument.locator("#pads button").nth(2)
    show(train.locator("iframe"), page, "10-play")
    pad.click()  # 3
    instrument.locator("#count", has_text="1 so far").wait_for()


def test_one_click_changes_to_the_kind_that_follows_closer_and_one_goes_back(page):
    """Trained at the first click, with its page below; and the other one is still there."""
    train = cell(page, "4 · Train and play")
    places = train.locator(".widget-radio-box label")
    assert places.count() == 3
    places.filter(has_text="page, Max and Pd only").click()
    train.get_by_text("Both are kept").wait_for(timeout=LONGEST_RUN_MS)
    name = train.locator("input[type=text]")
    page.wait_for_function(
        "field => field.value.endsWith('as Snare 1, mel listener')", arg=name.element_handle()
    )
    show(train, page, "11-mel-listener")
    train.frame_locator("iframe").locator("#pads button").nth(2).click()
    train.frame_locator("iframe").locator("#count", has_text="1 so far").wait_for()
    cell(page, "7 · Verdict").get_by_text("So TorchDrum").wait_for(timeout=LONGEST_RUN_MS)
    places.filter(has_text="everywhere").click()
    train.get_by_text("You have trained Snare 1 on this recording before").wait_for(timeout=LONGEST_RUN_MS)
    cell(page, "7 · Verdict").get_by_text("Dial in what").wait_for(timeout=LONGEST_RUN_MS)


def test_training_can_be_stopped_while_it_runs_and_keeps_the_best(page, lab):
    """After a changed preset, with far more epochs than anybody would wait for."""
    _, home = lab
    source = (
        "journey.choose_preset('snare-2'); import timbrekit.notebook.train_step as t; t.is_fast = lambda: False\n"
        "journey.train(epochs=10_000)"
    )
    last = run_in_a_new_cell(page, source)
    last.locator("p", has_text="Epoch").wait_for(timeout=LONGEST_RUN_MS)
    show(last.get_by_text("To stop here and keep what was reached"), page, "9-training")
    page.evaluate("() => void window.jupyterapp.commands.execute('notebook:interrupt-kernel')")  # ■
    last.locator("p", has_text="stopped early, what was reached is kept").wait_for(timeout=LONGEST_RUN_MS)
    show(last, page, "9-stopped")
    models = list((home / "notebooks" / "sessions" / "my session" / "models").glob("snare-2-*/model.pt"))
    assert len(models) == 1 and check_model(models[0]).ready


def test_an_upload_that_jupyter_drops_is_said_and_its_path_brings_it_in(page, tmp_path):
    """A minute of 24-bit stereo, 17 MB; JupyterLab sends an upload in one message of at most 10 MB."""
    samples = np.tile(varied_strokes(19)[: 6 * RATE, None], (10, 2))
    soundfile.write(tmp_path / "large take.wav", samples, RATE, subtype="PCM_24")
    assert (tmp_path / "large take.wav").stat().st_size > 17_000_000
    chooser = run_in_a_new_cell(page, "journey.choose_recording('upload a file')")
    with page.expect_file_chooser() as files:
        chooser.get_by_role("button", name="Choose a sound file").click()
    files.value.set_files(tmp_path / "large take.wav")
    page.wait_for_timeout(5000)
    assert (
        "Jupyter drops files above 10 MB" in chooser.inner_text()
        and '"large take.wav"' not in chooser.inner_text()
    )
    training = run_in_a_new_cell(page, "journey.train()")  # nothing else is trained on in its place
    training.get_by_text("has not arrived, and nothing else is used in its place").wait_for()
    field = chooser.get_by_placeholder("or the path of a file on this computer")
    field.fill(str(tmp_path / "large take.wav"))
    field.press("Enter")
    chooser.get_by_text('"large take.wav": 60.0 s, stereo, 48000 Hz.').wait_for()
    show(chooser, page, "10-large-upload")
