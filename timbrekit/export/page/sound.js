// Sound in and out of a page: microphone, file, recording.

const OUTPUT_PATIENCE = 4000; // ms; without a sound card some browsers wait for ever

const PROCESSING = ["echoCancellation", "noiseSuppression", "autoGainControl"];

// Everything that sounds. Events go to the listeners { onHit, onMeters, onFileEnd, onMicrophoneEnd }.
// A model's `context` holds what its instrument needs of the browser's: its sample rate, if only one will do.
class Sound {
  constructor(model, listeners) {
    Object.assign(this, { model, listeners, settings: {}, file: null, refusal: null, volume: 0 });
    this.models = [model]; // all that were opened
  }

  // Called from a click or key, as browsers want it: the context must be started before anything is awaited.
  async start() {
    this.context ??= this.makeContext();
    const running = this.context.resume();
    this.opening ??= this.open();
    await this.opening;
    const late = new Promise((resolve) => setTimeout(resolve, OUTPUT_PATIENCE, true));
    if (await Promise.race([running, late])) {
      const advice = "Connect or choose a sound output in the system's settings, then try again. Firefox has to be started anew for it.";
      throw new DOMException(`No sound output has started. ${advice}`, "TimeoutError");
    }
  }

  makeContext() {
    const { context: wishes } = this.model;
    try {
      return new AudioContext({ latencyHint: 0, ...wishes });
    } catch {
      const rate = wishes.sampleRate / 1000;
      throw new DOMException(`This browser cannot play at ${rate} kHz, as the instrument does.`, "SampleRateError");
    }
  }

  // Once; remembers a refused audio thread.
  async open() {
    this.output = new Output(this.context, this.volume);
    try {
      new Player(this.model, this.context.sampleRate); // so that the audio thread finds `kept` what takes long
      this.instrument = await makeInstrument(this.context, this.model, this.settings, "", this.models.indexOf(this.model));
      this.handedOver = new Set(kept.keys()); // names of what the audio thread keeps, too
      this.instrument.port.onmessage = ({ data }) => this.receive(data);
      this.instrument.connect(this.output.input);
      this.models.forEach((model) => model !== this.model && this.sendModel(model));
    } catch (error) {
      this.refusal = error;
      this.delayed = new DelayedInstrument(this.output.input, this.model, this.settings, this.listeners.onHit);
    }
  }

  receive({ hit, update, meters, tape, last }) {
    if (hit) this.listeners.onHit(hit);
    if (update) this.listeners.onUpdate(update);
    if (meters) this.listeners.onMeters(meters);
    if (tape) this.tape.push(tape);
    if (last) this.finishTape();
  }

  send(message) {
    this.instrument?.port.postMessage(message);
  }

  // Calls a method of the player, wherever it plays.
  call(name, ...given) {
    this.send({ call: name, given });
    this.delayed?.player[name](...given);
  }

  configure(settings) {
    Object.assign(this.settings, settings);
    this.call("configure", settings);
  }

  // decibels: of what is heard; what is recorded and saved is as loud as the instrument makes it.
  setVolume(decibels) {
    this.volume = decibels;
    this.output?.setVolume(decibels);
  }

  // Makes another instrument ready to play.
  add(model) {
    this.models.push(model);
    if (this.instrument) this.sendModel(model);
  }

  // What takes long is done here, where it makes no sound late.
  sendModel(model) {
    new Player(model, this.context.sampleRate);
    const made = [...kept].filter(([name]) => !this.handedOver.has(name));
    made.forEach(([name]) => this.handedOver.add(name));
    this.send({ add: model, number: this.models.indexOf(model), kept: made });
  }

  // One that was added plays on from the next sample. What the one before still sounds rings out.
  async use(model, settings) {
    this.model = model;
    Object.assign(this.settings, settings);
    this.send({ play: this.settings, number: this.models.indexOf(model) });
    this.delayed?.use(model, this.settings);
    const { file } = this;
    if (!file || (file.rate === model.sample_rate && !file.made)) return;
    Object.assign(file, { live: null, rate: model.sample_rate, samples: await file.at(model.sample_rate) });
  }

  panic() {
    this.stopFile();
    this.closeMicrophone();
    this.call("panic");
    this.delayed?.panic();
  }

  // Throws the browser's error where it refuses. Returns what the input says of itself.
  async openMicrophone(deviceId) {
    await this.start();
    if (this.refusal) throw this.refusal;
    if (!navigator.mediaDevices?.getUserMedia)
      throw new DOMException("no inputs offered", "NotSupportedError");
    const wishes = Object.fromEntries(PROCESSING.map((name) => [name, false]));
    if (deviceId) wishes.deviceId = { exact: deviceId };
    const stream = await navigator.mediaDevices.getUserMedia({ audio: wishes });
    this.closeMicrophone();
    const [track] = stream.getAudioTracks();
    try {
      this.microphone = new MediaStreamAudioSourceNode(this.context, { mediaStream: stream });
    } catch (error) {
      track.stop();
      const isRate = error.name === "NotSupportedError"; // as Firefox says where rates differ
      throw isRate ? new DOMException(error.message, "SampleRateError") : error;
    }
    this.microphone.connect(this.instrument);
    track.addEventListener("ended", () => {
      this.closeMicrophone();
      this.listeners.onMicrophoneEnd();
    });
    this.track = track;
    return { label: track.label, ...track.getSettings() };
  }

  closeMicrophone() {
    this.microphone?.disconnect();
    this.track?.stop();
    this.microphone = this.track = null;
  }

  // A sound that is made here; `at` makes it for a sample rate and for the instrument that is playing.
  makeFile(name, at) {
    this.stopFile();
    const rate = this.model.sample_rate;
    this.file = { name, at, rate, samples: at(rate), live: null, made: true };
  }

  // Returns whether it was loaded: not if another file was chosen while this one was still being decoded.
  async loadFile(name, bytes, isLatest = () => true) {
    const at = (rate) => decodeMono(bytes, rate);
    const rate = this.model.sample_rate;
    const samples = await at(rate);
    if (!isLatest()) return false;
    this.stopFile();
    this.file = { name, at, rate, samples, live: null };
    return true;
  }

  async playFile(loop) {
    await this.start();
    const { file, context } = this;
    const { sampleRate } = context;
    file.live ??= sampleRate === this.model.sample_rate ? file.samples : await file.at(sampleRate);
    this.stopFile();
    const source = this.delayed ? this.delayed.play(file.live) : this.sourceOf(file.live);
    source.loop = loop;
    source.addEventListener("ended", () => this.playing === source && this.fileEnded());
    this.playing = source;
    this.startedAt = context.currentTime;
    this.duration = file.live.length / sampleRate; // s
  }

  sourceOf(samples) {
    const buffer = new AudioBuffer({ length: samples.length, sampleRate: this.context.sampleRate });
    buffer.copyToChannel(samples, 0);
    const source = new AudioBufferSourceNode(this.context, { buffer });
    source.connect(this.instrument);
    source.start();
    return source;
  }

  // How far the file has played, 0..1.
  get progress() {
    if (!this.playing) return 0;
    const heard = (this.context.currentTime - this.startedAt) / this.duration;
    return this.playing.loop ? heard % 1 : Math.min(1, heard);
  }

  stopFile() {
    if (!this.playing) return;
    (this.playing.silence ?? this.playing.stop).call(this.playing);
    this.fileEnded();
  }

  fileEnded() {
    this.playing = null;
    this.listeners.onFileEnd();
  }

  // The loaded file through a fresh instrument: { audio, hits } at the model's rate, in time with the file.
  // Works a second of sound at a time, so that the page stays awake; gives up with null once `abandoned` says so.
  async renderFile(abandoned = () => false) {
    const { samples } = this.file;
    const rate = this.model.sample_rate;
    const player = new Player(this.model, rate);
    const hits = [];
    player.configure(this.settings);
    player.onHit = (hit) => hits.push(hit);
    const late = player.lateness ?? 0; // samples by which the instrument lags behind what it is played
    const input = new Float32Array(samples.length + late);
    input.set(samples);
    const audio = new Float32Array(input.length);
    for (let at = 0; at < input.length; at += rate) {
      player.process(input.subarray(at, at + rate), audio.subarray(at, at + rate));
      await new Promise((resolve) => setTimeout(resolve));
      if (abandoned()) return null;
    }
    return { audio: audio.subarray(late), hits };
  }

  async startTape() {
    await this.start();
    if (this.refusal) throw this.refusal;
    this.tape = [];
    this.send({ record: true });
  }

  // Resolves to a WAV file of all that sounded since startTape.
  stopTape() {
    return new Promise((resolve) => {
      this.finishTape = () => resolve(wavFile(this.tape, this.context.sampleRate));
      this.send({ record: false });
    });
  }
}
