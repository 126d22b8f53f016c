// What the page of a drum draws: knobs, feature lanes, onset signal.

// ---------------------------------------------------------------- knobs

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
  // player: of the instrument, not played yet
  constructor(parent, { parameters, preset, synth: { groups } }) {
    this.knobs = [];
    const grouped = new Set(groups.flatMap(([, keys]) => keys));
    const rest = parameters.map((p) => p.key).filter((key) => !grouped.has(key));
    for (const [group, keys] of [...groups, ["Shared", rest]]) {
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

// ---------------------------------------------------------------- onset signal

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
