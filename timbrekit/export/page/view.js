// What all pages draw: sliders and waveforms. Knows nothing of sound.

// element("div", { class: "x", text: "y", ... }, child, ...)
function element(tag, { text, ...attributes } = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  made.append(...children);
  return made;
}

const DIGITS = { Hz: 0, ms: 0, "%": 0, dB: 1, "dB/octave": 1, ratio: 2, Q: 1, semitones: 1 };
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
