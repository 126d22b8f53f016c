// What the cores of all pages share. Plain JavaScript without browser globals: the same text runs in an
// AudioWorklet, on the page and in node.

const f32 = Math.fround;
const clip = (x, low, high) => Math.min(high, Math.max(low, x));
const LOUDEST_INPUT = 1e4; // samples beyond this are no sound; their squares would overflow 32 bits

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
