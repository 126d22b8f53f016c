// The instrument on the browser's audio thread. Joined to a core when the page is built.

const METER_EVERY = 1024; // samples between two reports of what is heard
const RECORDING_CHUNK = 16384; // samples sent to the page at a time

class Instrument extends AudioWorkletProcessor {
  constructor({ processorOptions: { model, settings, noise } }) {
    super();
    this.noise = noise === "silent" ? () => 0 : whiteNoise; // silent: to compare with the plug-in's vectors
    this.player = new Player(model, sampleRate, this.noise);
    this.leaving = new Leaving(sampleRate);
    this.player.configure(settings);
    this.player.onHit = (hit) => this.port.postMessage({ hit });
    this.player.onUpdate = (update) => this.port.postMessage({ update });
    this.mono = new Float32Array(128);
    this.sinceMeter = 0;
    this.tape = null; // samples of the recording not sent yet
    this.port.onmessage = ({ data }) => {
      if (data.model) this.player = this.leaving.replace(this.player, data, this.noise);
      if (data.call === "panic") this.leaving.silence();
      if (data.call) this.player[data.call](...data.given);
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
    this.player.process(this.mono, output);
    this.leaving.mix(output);
    for (const other of others) other.set(output);
    this.report(output.length);
    this.record(output);
    return true;
  }

  report(samples) {
    this.sinceMeter += samples;
    if (this.sinceMeter < METER_EVERY) return;
    this.sinceMeter = 0;
    this.port.postMessage({ meters: this.player.meters });
    this.player.clearMeters();
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
