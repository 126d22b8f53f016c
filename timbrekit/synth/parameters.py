"""The 808's parameter table, the one source of truth for names, units, ranges and order, and its fixed numbers.

Order, ranges and keys are the plug-in's, and hold at every sample rate.
"""

from timbrekit.synth.base import Parameter

ATTACK_MS = 1.0
DECAY_LOG = 6.91  # -ln of what is left after the decay time: -60 dB
SILENCE = 1e-4  # an envelope below this is cut to 0
NYQUIST_MARGIN_HZ = 1000.0  # the noise cutoff used is at most this far below half the sample rate
SNAP_STEP = 0.01  # the plug-in rounds every parameter to this step, in physical units

PARAMETERS = (
    Parameter("osc1.freq", "Osc 1 frequency", "Hz", 20.0, 2000.0, damping=0.01),
    Parameter("osc1.mod", "Osc 1 pitch sweep", "ratio", -1.0, 2.0),
    Parameter("osc2.freq", "Osc 2 frequency", "Hz", 20.0, 2000.0, damping=0.01),
    Parameter("osc2.mod", "Osc 2 pitch sweep", "ratio", -1.0, 2.0),
    Parameter("freq_env.decay", "Pitch decay", "ms", 10.0, 2000.0),
    Parameter("osc1_env.decay", "Osc 1 decay", "ms", 10.0, 2000.0),
    Parameter("osc2_env.decay", "Osc 2 decay", "ms", 10.0, 2000.0),
    Parameter("noise_env.decay", "Noise decay", "ms", 10.0, 2000.0),
    # The published damping is 1 here. The plug-in keeps the filter's state from hit to hit, and large jumps of the
    # cutoff thump: with 0.15 the held-out error on a real snare with preset snare-1 fell from 0.82 to 0.53.
    Parameter("noise_filter.freq", "Noise cutoff", "Hz", 20.0, 24000.0, damping=0.15),
    Parameter("noise_filter.q", "Noise resonance", "Q", 0.5, 10.0),
    Parameter("osc1_gain.gain", "Osc 1 level", "dB", -60.0, 6.0, velocity=True),
    Parameter("osc2_gain.gain", "Osc 2 level", "dB", -60.0, 6.0, velocity=True),
    Parameter("noise_gain.gain", "Noise level", "dB", -60.0, 6.0, velocity=True),
    Parameter("tanh.in_gain", "Drive", "dB", -24.0, 24.0),
)
PARAMETER_KEYS = tuple(parameter.key for parameter in PARAMETERS)
NUM_PARAMETERS = len(PARAMETERS)
