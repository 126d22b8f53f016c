// What the page of a tone draws: pitch and loudness as they come.

const { clip } = globalThis.timbrekitCore;
const TRAIL_SECONDS = 6;
const LOUDNESS_SHOWN = [-80, 0]; // LKFS
const NAMES = ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"];

const noteName = (pitch) => `${NAMES[((Math.round(pitch) % 12) + 12) % 12]}${Math.floor(Math.round(pitch) / 12) - 1}`;

// "A3", and how far from it: " +12 cents"
function noteParts(pitch) {
  const cents = Math.round(100 * (pitch - Math.round(pitch)));
  return [noteName(pitch), cents < 0 ? ` −${-cents} cents` : ` +${cents} cents`];
}

// Pitch above and loudness below, as heard and as asked of the instrument; its range is shaded.
class Trail {
  constructor(canvas, model) {
    Object.assign(this, { canvas, points: [] });
    this.setModel(model);
  }

  setModel({ pitch, loudness, constants }) {
    Object.assign(this, { range: pitch, force: loudness });
    this.count = Math.round((TRAIL_SECONDS * constants.RATE) / constants.HOP);
    this.shown = [pitch[0] - 3, pitch[1] + 3];
  }

  push(hops) {
    this.points.push(...hops);
    this.points.splice(0, Math.max(0, this.points.length - this.count));
    this.pending ??= requestAnimationFrame(() => {
      this.pending = undefined;
      this.draw();
    });
  }

  draw() {
    const [context, width, height] = fresh(this.canvas);
    const split = height * 0.7;
    const x = (i) => width * (1 - (this.points.length - 1 - i) / (this.count - 1));
    this.widen();
    this.pane(context, width, [6, split - 6], this.shown, this.range, (pitch) =>
      Math.round(pitch) % 12 ? null : noteName(pitch),
    );
    const pitchY = this.scale([6, split - 6], this.shown);
    this.line(context, "hear", x, (hop) => (hop.voiced > 0.5 && !hop.keyed ? pitchY(hop.pitch) : null));
    this.line(context, "play", x, (hop) => (hop.asked.voiced > 0.5 ? pitchY(hop.asked.pitch) : null));
    this.pane(context, width, [split + 6, height - 6], LOUDNESS_SHOWN, this.force, (level) =>
      level % 40 ? null : `${String(level).replace("-", "−")} LKFS`,
    );
    const levelY = this.scale([split + 6, height - 6], LOUDNESS_SHOWN);
    this.line(context, "hear", x, (hop) => (hop.keyed ? null : levelY(hop.loudness)));
    this.line(context, "play", x, (hop) => levelY(hop.asked.loudness));
  }

  // Makes room for what is heard beyond the instrument's range.
  widen() {
    const voiced = this.points.filter((hop) => hop.voiced > 0.5 && !hop.keyed).map((hop) => hop.pitch);
    const asked = this.points.filter((hop) => hop.asked.voiced > 0.5).map((hop) => hop.asked.pitch);
    this.shown = [
      Math.min(this.range[0] - 3, ...voiced.map((p) => p - 1), ...asked.map((p) => p - 1)),
      Math.max(this.range[1] + 3, ...voiced.map((p) => p + 1), ...asked.map((p) => p + 1)),
    ];
  }

  scale([top, bottom], [low, high]) {
    return (value) => bottom - ((clip(value, low, high) - low) / (high - low)) * (bottom - top);
  }

  // The shaded range, and a line with a label for each whole value that has one.
  pane(context, width, place, shown, range, label) {
    const y = this.scale(place, shown);
    context.fillStyle = ink("card");
    context.globalAlpha = 0.6;
    context.fillRect(0, y(range[1]), width, y(range[0]) - y(range[1]));
    context.globalAlpha = 1;
    context.fillStyle = context.strokeStyle = ink("quiet");
    context.font = "11px system-ui, sans-serif";
    context.lineWidth = 0.5;
    for (let value = Math.ceil(shown[0]); value <= shown[1]; value++) {
      const text = label(value);
      if (!text) continue;
      context.beginPath();
      context.moveTo(0, y(value));
      context.lineTo(width, y(value));
      context.stroke();
      context.fillText(text, 6, y(value) + (value === shown[1] ? 11 : -3));
    }
  }

  // A line through the hops that have a place.
  line(context, colour, x, y) {
    context.strokeStyle = ink(colour);
    context.lineWidth = 2;
    context.beginPath();
    let on = false;
    this.points.forEach((hop, i) => {
      const at = y(hop);
      if (at !== null) context[on ? "lineTo" : "moveTo"](x(i), at);
      on = at !== null;
    });
    context.stroke();
  }
}
