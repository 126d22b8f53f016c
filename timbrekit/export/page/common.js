// What the cores of all pages share. Plain JavaScript without browser globals: the same text runs in an
// AudioWorklet, on the page and in node.

const f32 = Math.fround;
const clip = (x, low, high) => Math.min(high, Math.max(low, x));
const LOUDEST_INPUT = 1e4; // samples beyond this are no sound; their squares would overflow 32 bits

// What takes long to compute, by a name that says all it depends on: once for all players of a thread. The page
// computes it and hands it to the audio thread, which must not be late.
export const kept = new Map();
const keep = (name, make) => (kept.has(name) ? kept : kept.set(name, make())).get(name);

export const whiteNoise = () => 2 * Math.random() - 1;

// A sound that can be made again: noise from a seed (xorshift), in -1..1.
export function seededNoise(seed) {
  let state = seed | 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return f32(state / 2147483648);
  };
}

const SEXTETS = new Uint8Array(128); // value of each letter of base64
const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
[...BASE64].forEach((letter, value) => (SEXTETS[letter.charCodeAt(0)] = value));

// 32-bit floats, little-endian, from base64. Written out because an AudioWorklet has no atob.
export function decodeFloats(text) {
  const bytes = new Uint8Array((text.length / 4) * 3); // a few more than there are, where the text is filled up
  for (let i = 0, at = 0; i < text.length; i += 4, at += 3) {
    const a = SEXTETS[text.charCodeAt(i)];
    const b = SEXTETS[text.charCodeAt(i + 1)];
    const c = SEXTETS[text.charCodeAt(i + 2)];
    const d = SEXTETS[text.charCodeAt(i + 3)];
    bytes[at] = (a << 2) | (b >> 4);
    bytes[at + 1] = (b << 4) | (c >> 2);
    bytes[at + 2] = (c << 6) | d;
  }
  const view = new DataView(bytes.buffer);
  const count = Math.floor(text.replace(/=+$/, "").length * 0.1875);
  const floats = new Float32Array(count);
  for (let i = 0; i < count; i++) floats[i] = view.getFloat32(4 * i, true);
  return floats;
}
