// Files of sound: written as WAV, read by the browser.

// 24-bit mono WAV out of Float32Arrays in -1..1.
function wavFile(chunks, rate) {
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const view = new DataView(new ArrayBuffer(44 + 3 * length));
  const text = (at, letters) =>
    [...letters].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 3 * length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, rate, true);
  view.setUint32(28, 3 * rate, true);
  view.setUint16(32, 3, true);
  view.setUint16(34, 24, true);
  text(36, "data");
  view.setUint32(40, 3 * length, true);
  let at = 44;
  for (const chunk of chunks) {
    for (const x of chunk) {
      const value = Math.round(Math.max(-1, Math.min(1, x)) * 8388607);
      view.setUint16(at, value & 0xffff, true);
      view.setInt8(at + 2, value >> 16);
      at += 3;
    }
  }
  return new Blob([view], { type: "audio/wav" });
}

const RESCUE_POWER = 16; // 12 dB: a mix this much weaker than its loudest channel is not used

// Decodes to mono at the rate asked for. The bytes are copied because decoding takes them away.
async function decodeMono(bytes, rate) {
  const buffer = await new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes.slice(0));
  const mono = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    buffer.getChannelData(channel).forEach((x, i) => (mono[i] += x / buffer.numberOfChannels));
  }
  const power = (samples) => samples.reduce((sum, x) => sum + x * x, 0);
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, i) => buffer.getChannelData(i));
  const powers = channels.map(power);
  const loudest = powers.indexOf(Math.max(...powers));
  if (power(mono) * RESCUE_POWER >= powers[loudest]) return mono;
  return Object.assign(channels[loudest].slice(), { alone: loudest + 1 }); // the channels cancel each other
}
