// Ways to make the instrument sound: on the browser's audio thread, or, where that is refused, beforehand.
// Uses the audio core through the one name that its script leaves behind.

const { Player, kept } = globalThis.timbrekitCore;

// The instrument as an audio node. number: by which it is chosen again after others. Chromium refuses Blob addresses to a double-clicked file, some servers'
// policies refuse data addresses: try both.
async function makeInstrument(context, model, settings, noise, number = 0) {
  if (!context.audioWorklet) throw new DOMException("no AudioWorklet in this browser", "NotSupportedError");
  const source = ["core", "worklet"].map((id) => document.getElementById(id).textContent).join("\n");
  const addresses = [
    () => `data:text/javascript;charset=utf-8,${encodeURIComponent(source)}`,
    () => URL.createObjectURL(new Blob([source], { type: "text/javascript" })),
  ];
  let refusal;
  for (const address of addresses) {
    try {
      await context.audioWorklet.addModule(address());
      return new AudioWorkletNode(context, "timbrekit-instrument", {
        outputChannelCount: [1],
        processorOptions: { model, settings, noise, number, kept },
      });
    } catch (error) {
      refusal = error;
    }
  }
  throw refusal;
}

// Stands in where the browser refuses the audio thread: what is played is computed first and sounds then.
class DelayedInstrument {
  // output: the node that it sounds through
  constructor(output, model, settings, onHit) {
    Object.assign(this, { output, context: output.context, onHit, playing: new Set() });
    this.use(model, settings);
  }

  use(model, settings) {
    this.player = new Player(model, this.context.sampleRate);
    this.player.configure(settings);
    this.player.onHit = (hit) => this.hits.push(hit);
  }

  // Plays the samples and what rings on after them; returns the source node that sounds.
  play(samples) {
    this.hits = [];
    const rate = this.context.sampleRate;
    const start = this.player.position;
    const input = new Float32Array(samples.length + 2 * rate);
    input.set(samples);
    const buffer = new AudioBuffer({ length: input.length, sampleRate: rate });
    this.player.process(input, buffer.getChannelData(0));
    this.player.panic();
    const source = new AudioBufferSourceNode(this.context, { buffer });
    source.connect(this.output);
    source.start();
    const timers = this.hits.map((hit) =>
      setTimeout(() => this.onHit(hit), ((hit.position - start) / rate) * 1000),
    );
    source.silence = () => {
      timers.forEach(clearTimeout);
      source.stop();
    };
    this.playing.add(source);
    source.addEventListener("ended", () => this.playing.delete(source));
    return source;
  }

  panic() {
    for (const source of this.playing) source.silence();
    this.player.panic();
  }
}
