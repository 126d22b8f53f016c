// What is drawn: sliders, knobs, feature lanes, onset signal, waveform. Knows nothing of sound.

// element("div", { class: "x", text: "y", ... }, child, ...)
function element(tag, { text, ...attributes } = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  made.append(...children);
  return made;
}

const DIGITS = { Hz: 0, ms: 0, dB: 1, ratio: 2, Q: 1, semitones: 1 };
const minus = (text) => (Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−"));
function withUnit(value, unit) {
  const digits = DIGITS[unit] ?? 2;
  if (unit === "Hz" && value >= 1000) return `${(value / 1000).toFixed(2)} kHz`;
  const shown = unit === "semitones" ? "st" : unit === "ratio" ? "×" : unit;
  return unit === "Q" ? `Q ${value.toFixed(digits)}` : `${minus(value.toFixed(digits))} ${shown}`;
}

// A labelled slider with its value. Returns { set(value) }; onChange gets the number.
function slider(parent, { id, title, min, max, step, value, text, help }, onChange) {
  const input = element("input", { type: "range", id, min, max, step });
  const output = element("output", { for: id });
  if (help) input.title = help;
  parent.append(
    element("div", { class: "slider" }, element("label", { for: id, text: title }), input, output),
  );
  const show = () => {
    output.textContent = text(input.valueAsNumber);
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.addEventListener("input", () => {
    show();
    onChange(input.valueAsNumber);
  });
  const set = (number) => {
    input.value = number;
    show();
  };
  set(value);
  return { set, show };
}

// ---------------------------------------------------------------- knobs

const KNOB_GROUPS = [
  ["Osc 1", ["osc1.freq", "osc1.mod", "osc1_env.decay", "osc1_gain.gain"]],
  ["Osc 2", ["osc2.freq", "osc2.mod", "osc2_env.decay", "osc2_gain.gain"]],
  ["Noise", ["noise_filter.freq", "noise_filter.q", "noise_env.decay", "noise_gain.gain"]],
];

// Three quarters of a circle, open at the bottom, of the given radius in a 48 x 48 picture.
function arc(radius, name, width) {
  const corner = radius * Math.SQRT1_2;
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute(
    "d",
    `M ${24 - corner} ${24 + corner} A ${radius} ${radius} 0 1 1 ${24 + corner} ${24 + corner}`,
  );
  path.setAttribute("pathLength", 100);
  path.setAttribute("stroke-width", width);
  path.setAttribute("class", name);
  return path;
}

function fill(path, normalized) {
  path.style.strokeDasharray = "100 200";
  path.style.strokeDashoffset = 100 - 100 * normalized;
  path.style.visibility = normalized > 0.002 ? "visible" : "hidden"; // a round cap would leave a dot
}

// The plug-in's two rings for every parameter: the preset outside, what the last hit made of it inside.
class Knobs {
  constructor(parent, parameters, preset) {
    this.knobs = [];
    const grouped = new Set(KNOB_GROUPS.flatMap(([, keys]) => keys));
    const rest = parameters.map((p) => p.key).filter((key) => !grouped.has(key));
    for (const [group, keys] of [...KNOB_GROUPS, ["Shared", rest]]) {
      const members = parameters.filter((p) => keys.includes(p.key));
      members.sort((a, b) => keys.indexOf(a.key) - keys.indexOf(b.key));
      if (members.length) parent.append(element("h3", { text: group }));
      members.forEach((parameter) =>
        parent.append(this.make(group, parameter, parameters.indexOf(parameter), preset)),
      );
    }
  }

  make(group, parameter, index, preset) {
    const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    picture.setAttribute("viewBox", "0 0 48 44");
    picture.setAttribute("aria-hidden", "true");
    const [outer, inner] = [arc(21, "preset", 3), arc(15.5, "moved", 5)];
    picture.append(arc(21, "bed", 3), arc(15.5, "bed", 5), outer, inner);
    const short = parameter.title.replace(`${group} `, "");
    const value = element("span");
    fill(outer, preset[index]);
    this.knobs[index] = { inner, value, parameter };
    const knob = element("div", { class: "knob" }, picture);
    knob.append(element("b", { text: short[0].toUpperCase() + short.slice(1) }), value);
    knob.title = `${parameter.title}: ${parameter.min} to ${parameter.max} ${parameter.unit}`;
    return knob;
  }

  show(normalized, physical) {
    this.knobs.forEach(({ inner, value, parameter }, i) => {
      fill(inner, normalized[i]);
      value.textContent = withUnit(physical[i], parameter.unit);
    });
  }
}

// ---------------------------------------------------------------- features

const FEATURE_NAMES = { loudness: "Loudness", centroid: "Brightness", flatness: "Noisiness" };

// One lane a feature: where the last hit fell between the ends of the range in use.
class FeatureLanes {
  constructor(parent, { order, units }) {
    this.units = units.map((unit) => unit.split(" ")[0]); // "dB RMS", "semitones (MIDI)"
    this.lanes = order.map((name) => {
      const mark = element("i", { hidden: "" });
      const [low, high, value] = [element("span"), element("span"), element("output", { text: "–" })];
      const lane = element("div", { class: "lane" }, mark);
      const ends = element("div", { class: "ends" }, low, high);
      const label = element("span", { text: FEATURE_NAMES[name] ?? name });
      parent.append(element("div", { class: "feature" }, label, lane, value, ends));
      return { mark, low, high, value };
    });
  }

  showRange({ minimum, maximum }) {
    this.lanes.forEach(({ low, high }, i) => {
      const known = Number.isFinite(minimum[i]);
      low.textContent = known ? withUnit(minimum[i], this.units[i]) : "no hit yet";
      high.textContent = known ? withUnit(maximum[i], this.units[i]) : "";
    });
  }

  show(raw, features, { minimum, maximum }) {
    this.lanes.forEach(({ mark, value }, i) => {
      mark.hidden = false;
      mark.style.left = `${features[i] * 100}%`;
      mark.classList.toggle("far", raw[i] < minimum[i] - 0.01 || raw[i] > maximum[i] + 0.01);
      value.textContent = withUnit(raw[i], this.units[i]);
    });
  }
}

// ---------------------------------------------------------------- pictures

const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);

// The canvas at the screen's resolution, cleared: [context, width, height] in CSS pixels.
function fresh(canvas) {
  const scale = devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  return [context, width, height];
}

const ONSET_TOP = 40; // dB shown
const ONSET_POINTS = 240; // about five seconds

// The onset signal as it comes in, with both thresholds and a mark where a hit was played.
class OnsetScope {
  constructor(canvas) {
    Object.assign(this, { canvas, points: [], thresholds: { on_threshold: 0, off_threshold: 0 } });
  }

  push(onset, hit) {
    this.points.push({ onset: Math.max(0, onset), hit });
    if (this.points.length > ONSET_POINTS) this.points.shift();
    this.later();
  }

  setThresholds(thresholds) {
    Object.assign(this.thresholds, thresholds);
    this.later();
  }

  later() {
    this.pending ??= requestAnimationFrame(() => {
      this.pending = undefined;
      this.draw();
    });
  }

  draw() {
    const [context, width, height] = fresh(this.canvas);
    const y = (db) => height - 4 - (Math.min(db, ONSET_TOP) / ONSET_TOP) * (height - 8);
    const x = (i) => width * (1 - (this.points.length - 1 - i) / (ONSET_POINTS - 1));
    context.fillStyle = ink("play");
    this.points.forEach(({ hit }, i) => hit && context.fillRect(x(i) - 1, 0, 2, height));
    context.strokeStyle = ink("hear");
    context.lineWidth = 1.5;
    context.beginPath();
    this.points.forEach(({ onset }, i) => context.lineTo(x(i), y(onset)));
    context.stroke();
    context.font = "11px system-ui, sans-serif";
    context.setLineDash([5, 4]);
    context.lineWidth = 1;
    for (const [name, label] of [
      ["on_threshold", "on"],
      ["off_threshold", "off"],
    ]) {
      const at = y(this.thresholds[name]);
      context.strokeStyle = context.fillStyle = ink("ink");
      context.beginPath();
      context.moveTo(26, at);
      context.lineTo(width, at);
      context.stroke();
      context.fillText(label, 6, at + 4);
    }
  }
}

// A recording's outline with its hits and where it plays.
class Waveform {
  constructor(canvas) {
    Object.assign(this, { canvas, samples: null, hits: [], progress: 0 });
  }

  draw() {
    const [context, width, height] = fresh(this.canvas);
    if (!this.samples) return;
    const middle = height / 2;
    const perPixel = this.samples.length / width;
    this.outline ??= Array.from({ length: Math.floor(width) }, (_, x) => {
      let peak = 0;
      for (let i = Math.floor(x * perPixel); i < (x + 1) * perPixel; i++)
        peak = Math.max(peak, Math.abs(this.samples[i]));
      return Math.min(1, peak);
    });
    context.fillStyle = ink("play");
    for (const position of this.hits) context.fillRect((position / this.samples.length) * width, 0, 1, 5);
    context.fillStyle = ink("hear");
    this.outline.forEach((peak, x) =>
      context.fillRect(x, middle - peak * (middle - 7), 1, 2 * peak * (middle - 7) + 1),
    );
    if (this.progress > 0) {
      context.fillStyle = ink("ink");
      context.fillRect(this.progress * width - 1, 0, 2, height);
    }
  }
}
