"""An acoustic snare drum of 14 inches, as a modal model: strokes of a stick in, sound at a microphone out.

    strokes ──▶ stick contacts ──▶ membrane modes ──▶ snare wires ──┐
                      ├──────────▶ shell, hoop and shaft modes ─────┼──▶ room ──▶ microphone
                      └──────────▶ click of the tip ────────────────┘

Frequencies, decays and levels are round numbers near those of an aluminium drum. Signals are 48 kHz float64.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.signal import butter, fftconvolve, lfilter
from scipy.special import jn_zeros, jv

SAMPLE_RATE = 48_000


# --- Stick and contact -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Touch:
    """How a way of playing meets the drum. Shares are of the stick's force."""

    radius: float = 0.25  # where on the head, on average: 0 the centre, 1 the rim
    contact_s: float = 0.0012  # how long the hardest stroke stays on the drum
    head: float = 1.0  # share that bends the head
    rim: float = 0.03  # share that rings hoop and shell
    tip: float = 1.0  # share that is heard as click


TOUCHES = {
    "stick": Touch(),
    "edge": Touch(radius=0.85),  # near the rim: thin, little fundamental
    "ghost": Touch(radius=0.68),
    "grace": Touch(radius=0.35),  # the soft note that a flam begins with
    "roll": Touch(radius=0.4),
    "press": Touch(radius=0.45),  # the stick is pressed into the head and buzzes
    "rimshot": Touch(radius=0.3, contact_s=0.0009, head=0.75, rim=0.6),
    "cross-stick": Touch(radius=0.75, contact_s=0.0004, head=0.2, rim=0.9, tip=0.4),
}


@dataclass(frozen=True)
class Stroke:
    """One stroke of a stick: what a score notes, and where on the head it fell."""

    onset_s: float  # first contact
    articulation: str  # a key of TOUCHES
    velocity: float  # speed of the stick, 1 the hardest
    radius: float  # 0 the centre, 1 the rim
    angle: float  # radians
    bounces: int  # how often a pressed stick falls back on the head


@dataclass(frozen=True)
class Contacts:
    """Every time a stick touches the drum, as arrays ``(contacts,)``; a pressed stroke touches it often."""

    time_s: np.ndarray
    velocity: np.ndarray
    length_s: np.ndarray
    radius: np.ndarray
    angle: np.ndarray
    head: np.ndarray  # shares of the force, as in Touch
    rim: np.ndarray
    tip: np.ndarray

    def force(self, share: np.ndarray, num_samples: int) -> np.ndarray:
        """Force on one mode, ``(num_samples,)``: a half sine for every contact, its impulse by velocity."""
        steps = np.arange(int(self.length_s.max() * SAMPLE_RATE) + 2)
        at = np.ceil(self.time_s * SAMPLE_RATE).astype(np.int64)[:, None] + steps  # (contacts, steps)
        phase = (at / SAMPLE_RATE - self.time_s[:, None]) / self.length_s[:, None]
        pulse = np.where(phase < 1, np.sin(np.pi * np.minimum(phase, 1)), 0.0) / self.length_s[:, None]
        force = np.zeros(num_samples)
        np.add.at(force, at, 1e-3 * (share * self.velocity)[:, None] * pulse)
        return force


def contacts_of(strokes: list[Stroke], rng: np.random.Generator) -> Contacts:
    """Let the sticks fall. The harder the stroke, the shorter its contact, as Hertz found."""
    rows = []
    for stroke in strokes:
        touch = TOUCHES[stroke.articulation]
        time_s, velocity = stroke.onset_s, stroke.velocity
        for bounce in range(stroke.bounces + 1):
            length_s = touch.contact_s * velocity**-0.25
            where = stroke.radius, stroke.angle
            rows.append((time_s, velocity, length_s, *where, touch.head, touch.rim, touch.tip))
            time_s += 0.021 * 0.93**bounce * rng.uniform(0.9, 1.1)
            velocity *= rng.uniform(0.75, 1.0)
    return Contacts(*np.array(rows).T)


# --- The drum --------------------------------------------------------------------------------------------


def ring(force: np.ndarray, frequency: float, decay_s: float) -> np.ndarray:
    """Answer of one mode to ``force`` (samples,): a sine of ``frequency`` Hz, down 60 dB in ``decay_s``."""
    radius = np.exp(-np.log(1000) / (decay_s * SAMPLE_RATE))
    angle = 2 * np.pi * frequency / SAMPLE_RATE
    return lfilter([0, radius * np.sin(angle)], [1, -2 * radius * np.cos(angle), radius * radius], force)


def decaying_noise(rng: np.random.Generator, decay_s: float, length_s: float) -> np.ndarray:
    """White noise (samples,) that falls 60 dB in ``decay_s``."""
    time_s = np.arange(int(length_s * SAMPLE_RATE)) / SAMPLE_RATE
    return rng.standard_normal(len(time_s)) * np.exp(-np.log(1000) / decay_s * time_s)


def membrane_modes(top_hz: float = 1500.0) -> list[tuple[int, float, float, float, float]]:
    """Modes of the heads: (order, zero of the Bessel function, frequency in Hz, decay in s, level heard).

    Both heads and the air between them share the lowest motion: it splits into a slow mode, heads together,
    and a stiff one, heads apart. From the next mode on the frequencies are near those of a lone membrane.
    Parts of the head that move against each other cancel in the air: the higher the order, the less is heard.
    """
    lowest = jn_zeros(0, 1)[0]
    modes = [(0, lowest, 126.0, 0.34, 0.3), (0, lowest, 213.0, 0.20, 2.0)]
    for order in range(16):
        for zero in jn_zeros(order, 8):
            frequency = 282.0 * zero / jn_zeros(1, 1)[0]
            if zero != lowest and frequency < top_hz:
                decay_s = 0.24 / (1 + (frequency / 1500) ** 2)
                modes.append((order, zero, frequency, decay_s, 1 / (1 + 0.4 * order)))
    return modes


def play_head(contacts: Contacts, num_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Sound of the heads, and displacement of the lower one under the wires, each ``(num_samples,)``."""
    sound, displacement = np.zeros(num_samples), np.zeros(num_samples)
    for order, zero, frequency, decay_s, level in membrane_modes():
        shape = contacts.head * jv(order, zero * contacts.radius) / abs(jv(order + 1, zero))
        pair = [np.cos(order * contacts.angle), np.sin(order * contacts.angle)] if order else [1.0]
        for detune, orientation in zip((0.996, 1.004), pair, strict=False):  # no head is tuned quite evenly
            motion = ring(contacts.force(shape * orientation, num_samples), frequency * detune, decay_s)
            sound += level * motion
            displacement += motion * (213.0 / frequency)
    return sound, displacement


# Shell and hoop of aluminium, then the shaft of the stick: (frequency in Hz, decay in s, level).
RIM_MODES = [
    (322, 0.14, 0.2), (531, 0.12, 0.5), (668, 0.10, 0.7), (893, 0.07, 0.5), (1046, 0.11, 0.6),
    (1187, 0.08, 1.2), (1302, 0.09, 0.9), (1415, 0.06, 0.7),
    (1980, 0.04, 0.8), (2710, 0.03, 0.8), (3890, 0.025, 0.8), (5450, 0.02, 0.8),
]  # fmt: skip


def play_rim(contacts: Contacts, num_samples: int) -> np.ndarray:
    """Sound of shell, hoop and shaft, ``(num_samples,)``."""
    force = contacts.force(contacts.rim, num_samples)
    return sum(level * ring(force, frequency, decay_s) for frequency, decay_s, level in RIM_MODES)


def play_click(contacts: Contacts, num_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Sound of all modes above the others, ``(num_samples,)``: so dense and so short that they are noise."""
    burst = lfilter(*butter(2, 1500, "highpass", fs=SAMPLE_RATE), decaying_noise(rng, 0.018, 0.02))
    jerk = np.diff(contacts.force(contacts.tip, num_samples), prepend=0.0)
    return fftconvolve(jerk, burst)[:num_samples]


@njit
def landings(head, preload, stiffness, restitution):
    """Impacts of some wires (arrays, one entry a wire) on the moving head (samples,): sum of their speeds."""
    impacts = np.zeros(len(head))
    for wire in range(len(preload)):
        position, speed = head[0], 0.0
        for i in range(1, len(head)):
            speed -= preload[wire] + stiffness[wire] * position
            position += speed
            if position < head[i]:  # a wire cannot go through the head
                closing = head[i] - head[i - 1] - speed
                if closing > 0:
                    impacts[i] += closing
                    speed += (1 + restitution[wire]) * closing
                position = head[i]
    return impacts


def play_wires(
    displacement: np.ndarray, rng: np.random.Generator, groups: int = 5, wires: int = 6
) -> np.ndarray:
    """Sound of the snare wires over the lower head's ``displacement``, (samples,).

    Each wire is a mass that preload and tension hold against the head. Where the head draws away faster than
    they can pull, the wire flies and comes down on a head that has moved on: chatter that starts a moment
    after the stroke, dies with the head, and grows less than the stroke does, because a wire thrown higher
    lands less often. Every landing rings a coil, whose dispersion smears it into noise.
    """
    # A wire's flight is chaotic. Rounding what drives it keeps the last bits of the filters above out of it,
    # so that a processor which rounds those otherwise still hears the same landings.
    head = np.round(displacement * 2**12) / 2**12
    sound = np.zeros_like(head)
    for _ in range(groups):
        lift_off = np.exp(rng.uniform(np.log(1), np.log(15), wires))  # amplitude at 213 Hz that throws a wire
        tension_hz = rng.uniform(15, 50, wires)
        impacts = landings(
            head,
            lift_off * (2 * np.pi * 213 / SAMPLE_RATE) ** 2,
            (2 * np.pi * tension_hz / SAMPLE_RATE) ** 2,
            rng.uniform(0.5, 0.85, wires),
        )
        # A coil knocks, brightly and shortly, and hums on for a while, duller.
        knock, hum = decaying_noise(rng, 0.04, 0.5), decaying_noise(rng, 0.5, 0.5)
        coil = knock + 0.25 * lfilter(*butter(1, 3000, fs=SAMPLE_RATE), hum)
        coil = lfilter(*butter(1, 900, "highpass", fs=SAMPLE_RATE), coil)
        sound += fftconvolve(impacts, coil)[: len(head)]
    return sound


# --- The room and the microphone -------------------------------------------------------------------------


def room_response(rng: np.random.Generator) -> np.ndarray:
    """Impulse response (samples,) of a small room: the direct sound, some walls, a short dull tail."""
    tail = decaying_noise(rng, 0.5, 0.5)
    tail *= np.minimum(np.arange(len(tail)) / (0.012 * SAMPLE_RATE), 1)
    response = 0.016 * lfilter(*butter(1, 3000, fs=SAMPLE_RATE), tail)
    for delay_ms, level in [
        (0, 1),
        (2.9, 0.22),
        (5.3, -0.15),
        (8.4, 0.18),
        (11.7, 0.2),
        (13.1, -0.14),
        (19.6, 0.1),
    ]:
        response[int(delay_ms * SAMPLE_RATE / 1000)] += level
    return response


def microphone(pressure: np.ndarray) -> np.ndarray:
    """A dynamic microphone off the axis of ``pressure`` (samples,): dull above 4 kHz, thin below 60 Hz."""
    pole = np.exp(-2 * np.pi * 4000 / SAMPLE_RATE)
    dull = lfilter([1 - pole], [1, -pole], lfilter(*butter(2, 10_500, fs=SAMPLE_RATE), pressure))
    return lfilter(*butter(1, 60, "highpass", fs=SAMPLE_RATE), dull)


def play(strokes: list[Stroke], num_samples: int, seed: int) -> np.ndarray:
    """Sound of ``strokes``, ``(num_samples,)``, on an arbitrary scale; chance follows from ``seed``."""
    # Each part has a generator of its own, so that a change in one leaves the others' numbers alone.
    sticks, wires, room = (np.random.Generator(np.random.PCG64([seed, part])) for part in (1, 2, 3))
    contacts = contacts_of(strokes, sticks)
    head, displacement = play_head(contacts, num_samples)
    rim = play_rim(contacts, num_samples)
    click = play_click(contacts, num_samples, sticks)
    buzz = play_wires(displacement + 0.08 * rim, wires)  # the shell shakes the wires as well
    drum = head + 1.8 * rim + 300 * click + 1.7 * buzz
    return microphone(fftconvolve(drum, room_response(room))[:num_samples])
