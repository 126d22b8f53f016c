// The instrument on the browser's audio thread. Joined to a core when the page is built.

const METER_EVERY = 1024; // samples between two reports of what is heard
const RECORDING_CHUNK = 16384; // samples sent to the page at a time

class Instrument extends AudioWorkletProcessor {
  constructor({ processorOptions: { model, settings, noise, number, kept: known } }) {
    super();
    for (const [name, value] of known) kept.set(name, value);
    const source = noise === "silent" ? () => 0 : whiteNoise; // silent: to compare with the plug-in's vectors
    const player = new Player(model, sampleRate, source);
    player.configure(settings);
    player.onHit = (hit) => this.port.postMessage({ hit });
    player.onUpdate = (update) => this.port.postMessage({ update });
    this.ensemble = new Ensemble(player, number, source);
    this.mono = new Float32Array(128);
    this.sinceMeter = 0;
    this.tape = null; // samples of the recording not sent yet
    this.port.onmessage = ({ data }) => {
      for (const [name, value] of data.kept ?? []) kept.set(name, value);
      if (data.add) this.ensemble.add(data.number, data.add);
      if (data.play) this.ensemble.play(data.number, data.play);
      if (data.call === "panic") this.ensemble.panic();
      else if (data.call) this.ensemble.player[data.call](...data.given);
      if (data.record) this.startTape();
      if (data.record === false) this.sendTape(true);
    };
  }

  process([channels], [[output, ...others]]) {
    if (this.mono.length !== output.length) this.mono = new Float32Array(output.length);
    this.mono.fill(0);
    for (const channel of channels) {
      for (let i = 0; i < output.length; i++) this.mono[i] += channel[i] / channels.length;
    }
    this.ensemble.process(this.mono, output);
    for (const other of others) other.set(output);
    this.report(output.length);
    this.record(output);
    return true;
  }

  report(samples) {
    this.sinceMeter += samples;
    if (this.sinceMeter < METER_EVERY) return;
    this.sinceMeter = 0;
    this.port.postMessage({ meters: this.ensemble.player.meters });
    this.ensemble.player.clearMeters();
  }

  startTape() {
    this.tape = new Float32Array(RECORDING_CHUNK);
    this.taped = 0;
  }

  record(output) {
    if (!this.tape) return;
    this.tape.set(output, this.taped);
    this.taped += output.length;
    if (this.taped + output.length > RECORDING_CHUNK) this.sendTape(false);
  }

  sendTape(last) {
    if (!this.tape) return;
    const samples = this.tape.slice(0, this.taped);
    this.port.postMessage({ tape: samples, last }, [samples.buffer]);
    this.taped = 0;
    if (last) this.tape = null;
  }
}

registerProcessor("timbrekit-instrument", Instrument);
