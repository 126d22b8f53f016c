// A drum as numbers, and what lies between two of them, as timbrekit/synth/drum.py and drum_blend.py have it.

// How numbers of a drum pass into those of the one that it is blended with: as amplitudes, in logarithms, or straight.
const AMPLITUDES = ["level"];
const LOGARITHMS = ["frequency", "decay"];
const STRAIGHT = ["phase"];

// One drum's numbers, as a preset holds them, its arrays as texts; its hits from soft to hard.
function readDrum(drum) {
  const numbers = (text) => Float64Array.from(text.split(" ").filter(Boolean), Number);
  const arrays = (value) => (Array.isArray(value) ? value.map(arrays) : numbers(value));
  const read = (name, value) => (name === "kind" || typeof value === "number" ? value : arrays(value));
  const entries = Object.entries(drum).filter(([name]) => name !== "other");
  const found = Object.fromEntries(entries.map(([name, value]) => [name, read(name, value)]));
  const { frequency, level, decay, loudness, phase, noise_level, onset } = found;
  const energies = level[found.reference].map((decibels, i) => decibels - 10 * Math.log10(decay[i]));
  const order = [...loudness.keys()].sort((a, b) => loudness[a] - loudness[b]);
  const sorted = (rows) => order.map((hit) => rows[hit]);
  return {
    ...found,
    level: sorted(level),
    phase: sorted(phase),
    noise_level: sorted(noise_level),
    onset: sorted(onset),
    recorded: sorted(loudness),
    loudness: order.map((hit, i) => loudness[hit] + i * 1e-6), // no two alike
    mainFrequency: frequency.length ? frequency[energies.indexOf(Math.max(...energies))] : 200,
    glideSteps: clip(12 * Math.log2(1 + found.glide_amount), 0, 36),
    glideMs: clip(1000 * found.glide_time, 2, 400),
  };
}

// The drum for strokes of a strength: levels and phases between those of the nearest hits, or beyond them.
function atStrike(drum, strike) {
  const { loudness } = drum;
  const shares = nearest(strike, loudness);
  const beyond = strike - clip(strike, loudness[0], loudness.at(-1));
  const mixed = (rows) => rows[0].map((_, i) => shares.reduce((sum, [hit, near]) => sum + near * rows[hit][i], 0));
  const noise = (band, node) => shares.reduce((sum, [hit, near]) => sum + near * drum.noise_level[hit][band][node], 0);
  const growth = (band, node) => {
    const early = drum.noise_slope[band];
    return early + (drum.late_slope[band] - early) * LATENESS[node];
  };
  return {
    ...drum,
    level: mixed(drum.level).map((level, i) => level + drum.level_slope[i] * beyond),
    phase: mixed(drum.phase),
    noise_level: drum.noise_level[0].map((curve, band) =>
      curve.map((_, node) => noise(band, node) + growth(band, node) * beyond),
    ),
  };
}

// What lies between two drums. share: of the second one, 0..1.
function between(one, other, share) {
  const straight = (a, b) => a + (b - a) * share;
  const geometric = (a, b) => Math.exp(straight(Math.log(Math.max(a, 1e-3)), Math.log(Math.max(b, 1e-3))));
  const amplitude = (a, b) => 20 * Math.log10(Math.max(straight(fromDecibels(a), fromDecibels(b)), 1e-12));
  const mixed = {
    gliding: one.gliding,
    mainFrequency: geometric(one.mainFrequency, other.mainFrequency),
    seconds: straight(one.seconds, other.seconds),
    moreSteps: (other.glideSteps - one.glideSteps) * share,
    longer: (other.glideMs / one.glideMs) ** share,
  };
  const ways = [[AMPLITUDES, amplitude], [LOGARITHMS, geometric], [STRAIGHT, straight]];
  for (const [names, way] of ways) {
    for (const name of names) mixed[name] = one[name].map((value, i) => way(value, other[name][i]));
  }
  mixed.noise_level = one.noise_level.map((curve, band) => curve.map((a, i) => amplitude(a, other.noise_level[band][i])));
  return mixed;
}

// A mixture of two strokes that were recorded, at both sides of a strike; of the outermost beyond them.
function nearest(strike, loudness) {
  const above = loudness.findIndex((level) => level > strike);
  if (above <= 0) return [[above < 0 ? loudness.length - 1 : 0, 1]];
  const rising = (strike - loudness[above - 1]) / (loudness[above] - loudness[above - 1]);
  return [
    [above - 1, 1 - rising],
    [above, rising],
  ];
}
