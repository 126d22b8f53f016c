"""``python -m tests.by_hand.tone MODEL RECORDING INPUT``: how well and how fast an instrument of ``tone train`` plays.

RECORDING is what it was trained on: the stretch that was held out is played and listened to, by timbrekit's listener
and by PESTO (of the test extra). INPUT is somebody else's phrase, played through it: octaves, clicks at the borders of
hops, level. Last the real-time factors of the file for nn~ and of the page in node, in CPU time of one thread and in
wall time, the best of several stretches.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pesto
import pyloudnorm
import torch
from scipy.stats import spearmanr

from timbrekit.recording import read_recording
from timbrekit.tone.export import write_nn_tilde
from timbrekit.tone.instrument import Instrument, load_instrument
from timbrekit.tone.live_page import TONE_PAGE, page_model
from timbrekit.tone.measure import LAG, compare, measure_held_out, octave_errors
from timbrekit.tone.pitch import CENTRE, HOP, LOWEST_PITCH, PITCHED, RATE, Heard, hear
from timbrekit.tone.play import play
from timbrekit.tone.train import prepare

BLOCKS = (64, 256, 512, 1024, 4096)
STRETCHES = 20
STEADY_HOPS, STEADY = 8, 0.5  # around a frame that counts, the pitch asked for stays within so many semitones
NODE = """
import fs from "node:fs";
const [source, model, sound] = process.argv.slice(2);
const core = await import(`data:text/javascript;base64,${fs.readFileSync(source).toString("base64")}`);
const bytes = fs.readFileSync(sound);
const samples = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
const player = new core.Player(JSON.parse(fs.readFileSync(model)), 48000);
const out = new Float32Array(128);
let [cpu, wall] = [Infinity, Infinity];
for (let start = 0; start + 48000 <= samples.length; start += 48000) {
  const [began, used] = [performance.now(), process.cpuUsage()];
  for (let at = start; at < start + 48000; at += 128) player.process(samples.subarray(at, at + 128), out);
  wall = Math.min(wall, (performance.now() - began) / 1000);
  const { user, system } = process.cpuUsage(used);
  cpu = Math.min(cpu, (user + system) / 1e6);
  player.clearMeters();
}
const factors = `${(1 / cpu).toFixed(1)} in CPU time, ${(1 / wall).toFixed(1)} in wall time`;
console.log(`page in node: real-time factor ${factors}`);
"""


def main(model: str, recording: str, phrase: str) -> None:
    torch.set_num_threads(1)
    instrument, about = load_instrument(model)
    data = prepare(read_recording(recording).samples)
    print("held out, own listener:", measure_held_out(instrument, data))
    for start, end in data.parts["test"]:
        asked = data.heard.part(start, end)
        print("held out, PESTO:", by_pesto(asked, instrument.play(asked).numpy(), 0))
    samples = read_recording(phrase).samples
    for loudness in ("fit", "as-is"):
        played = play(instrument, samples, loudness=loudness)
        print(f"phrase, {loudness}, {played.octaves:+d} octaves:", about_phrase(played.asked, played.samples))
    print(f"  {loudness}: LUFS {lufs(samples):.1f} in, {lufs(played.samples):.1f} out")
    speed_of_nn_tilde(model, samples)
    speed_of_page(instrument, about, samples)


def by_pesto(asked: Heard, sound: np.ndarray, lag: int) -> str:
    """What PESTO hears of a sound, ``lag`` samples later than asked, where the pitch asked for is steady."""
    seconds, heard, _, _ = pesto.predict(torch.from_numpy(sound), RATE, step_size=20.0, convert_to_freq=False)
    hop = ((seconds.numpy() / 1000 * RATE - lag) / HOP - 1).round().astype(int)
    around = np.arange(-STEADY_HOPS, STEADY_HOPS + 1)
    inside = (hop >= STEADY_HOPS) & (hop < len(asked) - STEADY_HOPS)
    hop, heard = hop[inside], heard.numpy()[inside]
    pitch, voiced = asked.pitch.numpy()[hop[:, None] + around], asked.voiced.numpy()[hop[:, None] + around]
    steady = (np.ptp(pitch, axis=1) < STEADY) & (voiced.min(1) > PITCHED) & (pitch.min(1) > LOWEST_PITCH)
    distance = heard[steady] - asked.pitch.numpy()[hop[steady]]
    return (
        f"{steady.sum()} frames, median {100 * np.median(np.abs(distance)):.0f} cents, octave errors "
        f"{octave_errors(distance).mean():.2%}, off by more than 50 cents {np.mean(np.abs(distance) > 0.5):.2%}"
    )


def about_phrase(asked: Heard, sound: np.ndarray) -> str:
    """Of a sound that is in time with its input: pitch, loudness and clicks at the borders of hops."""
    late = np.concatenate(
        [np.zeros(CENTRE, np.float32), sound]
    )  # as it was before it was brought back in time
    heard = hear(late)
    _, (wanted, got) = compare(asked, heard)
    both = (asked.voiced.numpy()[: len(wanted)] > PITCHED) & (
        heard.voiced.numpy()[LAG:][: len(wanted)] > PITCHED
    )
    powers = [np.mean(10 ** (loudness[both] / 10)) for loudness in (wanted, got)]
    fluxes = [flux(late, offset) for offset in range(0, HOP, HOP // 8)]
    return (
        f"{by_pesto(asked, late, 0)}; level {10 * np.log10(powers[1] / powers[0]):+.2f} dB, loudness rank "
        f"{spearmanr(wanted, got).statistic:.3f}; flux at borders {fluxes[0]:.3f}, elsewhere {min(fluxes[1:]):.3f} to "
        f"{max(fluxes[1:]):.3f}"
    )


def flux(sound: np.ndarray, offset: int, size: int = 64) -> float:
    """Mean change of the log spectrum from the 64 samples before places of all hops to those after, in nepers."""
    places = np.arange(2 * HOP + offset, len(sound) - HOP, HOP)
    window = np.hanning(size)
    before, after = (
        np.log(np.abs(np.fft.rfft(sound[places[:, None] + np.arange(size) + start] * window)) + 1e-4)
        for start in (-size, 0)
    )
    return float(np.abs(after - before).mean())


def lufs(samples: np.ndarray) -> float:
    return pyloudnorm.Meter(RATE).integrated_loudness(samples.astype(np.float64))


def speed_of_nn_tilde(model: str, samples: np.ndarray) -> None:
    with tempfile.TemporaryDirectory() as folder:
        module = torch.jit.load(str(write_nn_tilde(model, Path(folder) / "tone.ts")))
    sound = torch.from_numpy(samples)
    for block in BLOCKS:
        blocks = [part[None, None] for part in sound.split(block)[:-1]]
        count = max(len(blocks) // STRETCHES, 1)
        with torch.inference_mode():
            for part in blocks[:30]:  # until libtorch has optimised it
                module(part)
            factors = [
                count * block / RATE / np.array(timed(module, blocks[start : start + count]))
                for start in range(0, len(blocks) - count + 1, count)
            ]
        cpu, wall = np.max(factors, axis=0)
        print(f"nn~, blocks of {block}: real-time factor {cpu:.1f} in CPU time, {wall:.1f} in wall time")


def timed(call: Callable[[torch.Tensor], object], blocks: list[torch.Tensor]) -> tuple[float, float]:
    """Seconds of CPU time and of wall time that all blocks take."""
    cpu, wall = time.process_time(), time.perf_counter()
    for block in blocks:
        call(block)
    return time.process_time() - cpu, time.perf_counter() - wall


def speed_of_page(instrument: Instrument, about: dict, samples: np.ndarray) -> None:
    with tempfile.TemporaryDirectory() as folder:
        core, model, sound, runner = (
            Path(folder) / name for name in ("core.mjs", "model.json", "sound", "run.mjs")
        )
        core.write_text(TONE_PAGE.core_source(), encoding="utf-8")
        model.write_text(json.dumps(page_model(instrument, about)), encoding="utf-8")
        sound.write_bytes(samples.astype("<f4").tobytes())
        runner.write_text(NODE, encoding="utf-8")
        subprocess.run(["node", runner, core, model, sound], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
