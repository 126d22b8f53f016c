// Runs the live page's audio core in node on what test_page_core.py wrote, and writes what came out.
// Each line of standard input is a job (JSON: the core's source, a folder, a list of tasks), each line of standard
// output the results of one. Judging is left to pytest.

import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";

let core, folder; // of the job at hand

function readFloats(name) {
  const bytes = fs.readFileSync(path.join(folder, name));
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

const writeFloats = (name, values) => fs.writeFileSync(path.join(folder, name), Float32Array.from(values));

// Values of a file in order; zeros where there is none.
function noiseFrom(name) {
  if (!name) return () => 0;
  const values = readFloats(name);
  let at = 0;
  return () => values[at++];
}

const TASKS = {
  signal({ samples, rate, settings, out }) {
    const detector = new core.OnsetDetector(rate, settings);
    writeFloats(
      out,
      readFloats(samples).map((x) => (detector.next(x), detector.signal)),
    );
  },

  features({ frames, rate }) {
    const all = readFloats(frames);
    const found = [];
    for (let at = 0; at < all.length; at += core.WINDOW) {
      found.push([...core.onsetFeatures(all.slice(at, at + core.WINDOW), rate)]);
    }
    return { features: found };
  },

  // what the mel listener hears, estimates, aims at and answers at a detection; tell: rows of three features in 0..1
  looks({ model, rate, samples, detection, tell }) {
    const listener = new core.MelListener(model, rate);
    const recent = new Float32Array(4096 * 2 ** Math.round(Math.log2(rate / 48000)));
    const input = readFloats(samples);
    const said = { estimates: [], aims: [], modulation: [] };
    for (let i = 0, look = 0; i < input.length; i++) {
      recent[i & (recent.length - 1)] = input[i];
      if (i - detection !== listener.delays[look]) continue;
      const row = listener.hear(look, recent, i);
      const aim = listener.aim(look, row);
      said.estimates.push([...listener.estimates[look]]);
      said.aims.push([...aim]);
      said.modulation.push([...listener.network(aim)]);
      look += 1;
    }
    const told = (tell ?? []).map((features) => [...listener.tell(features)]);
    return { delays: listener.delays, features: [...listener.row], told, ...said };
  },

  // a voice with updates: sets of physical parameters, given at samples; kinds: "trigger" or "update"
  ringing({ synth = "snare808", drum, rate, idle, events, seed, length, out }) {
    const voice = new core.RINGING_VOICES[synth](rate, drum);
    const next = core.seededNoise(seed);
    voice.set(idle);
    const audio = new Float32Array(length);
    for (let i = 0; i < length; i++) {
      for (const [, kind, values] of events.filter(([at]) => at === i)) {
        voice[kind === "trigger" ? "set" : kind](values);
        if (kind === "trigger") voice.trigger();
      }
      audio[i] = voice.next(next());
    }
    writeFloats(out, audio);
  },

  // values: rows of normalised parameters; strikes: [sample, row]; the synth runs freely from sample 0
  synth({ rate, table, values, strikes, noise, length, out }) {
    const synth = new core.VOICES.snare808(rate);
    const next = noiseFrom(noise);
    const physical = values.map((row) => row.map((value, i) => core.toPhysical(value, table[i], synth.step)));
    synth.set(physical[strikes[0][1]]);
    const audio = new Float32Array(length);
    const envelope = new Float32Array(length);
    for (let i = 0; i < length; i++) {
      const strike = strikes.find(([at]) => at === i);
      if (strike) {
        synth.set(physical[strike[1]]);
        synth.trigger();
      }
      audio[i] = synth.next(next());
      envelope[i] = synth.envelopes[1].value;
    }
    writeFloats(out, audio);
    writeFloats(`${out}.envelope`, envelope);
    return { physical };
  },

  // a drum's voice by itself; events: [sample, method, row of values]
  voice({ rate, drum, values, events, start, length, out }) {
    const voice = new core.VOICES.drum(rate, drum);
    const audio = new Float32Array(length);
    for (let i = 0; i < length; i++) {
      for (const [at, method, row] of events) {
        if (at !== i) continue;
        voice[method === "trigger" ? "set" : method](values[row]);
        if (method === "trigger") voice.trigger();
      }
      audio[i] = voice.next(start);
    }
    writeFloats(out, audio);
  },

  // block: samples handed over at a time; panicAt: sample at which panic is called
  play({ model, rate, samples, noise, configure, block, panicAt, out }) {
    const player = new core.Player(model, rate, noiseFrom(noise));
    const preset = [...player.synth.values];
    const began = process.cpuUsage();
    const hits = [];
    const updates = [];
    const detections = [];
    const plain = (vectors) => Object.fromEntries(Object.entries(vectors).map(([name, v]) => [name, [...v]]));
    player.onHit = ({ position, told, ...vectors }) => hits.push({ position, ...plain(vectors) });
    player.onUpdate = ({ position, told, look, ...vectors }) => updates.push({ position, look, ...plain(vectors) });
    player.onDetection = (position) => detections.push(position);
    player.configure(configure ?? {});
    const input = readFloats(samples);
    const audio = new Float32Array(input.length);
    const size = block ?? input.length;
    for (let at = 0; at < input.length; at += size) {
      if (at === panicAt) player.panic();
      player.process(input.subarray(at, at + size), audio.subarray(at, at + size));
    }
    const seconds = process.cpuUsage(began).user / 1e6;
    writeFloats(out, audio);
    return { hits, updates, detections, broken: player.meters.broken, preset, seconds };
  },

  // instruments that are changed; changes: rows of a sample and the number of the model that plays from there on;
  // strikes: rows of a sample and the features that are told there; keys: rows of a sample, a method, what it is given
  change({ models, rate, samples, noise, settings, changes = [], strikes = [], keys = [], out }) {
    const first = new core.Player(models[0], rate, noiseFrom(noise));
    const ensemble = new core.Ensemble(first, 0, noiseFrom(noise));
    models.forEach((model, number) => number && ensemble.add(number, model));
    const hits = [];
    first.onHit = ({ position, told, raw, features, physical }) =>
      hits.push({ position, told, raw: [...raw], features: [...features], physical: [...physical] });
    const input = readFloats(samples);
    const audio = new Float32Array(input.length);
    for (let i = 0; i < input.length; i++) {
      for (const [, number] of changes.filter(([when]) => when === i)) {
        ensemble.play(number, settings ?? models[number].detector);
      }
      for (const [, features] of strikes.filter(([when]) => when === i)) ensemble.player.strike(features);
      for (const [, method, ...given] of keys.filter(([when]) => when === i)) ensemble.player[method](...given);
      ensemble.process(input.subarray(i, i + 1), audio.subarray(i, i + 1));
    }
    writeFloats(out, audio);
    return { hits };
  },

  // a tone's instrument: what it hears of a whole sound, how it is fitted, and what it plays; keys: rows of a time
  // in seconds, a method of the player, and what it is given
  tone({ model, samples, noise, settings, fitted, block, keys = [], out }) {
    const input = readFloats(samples);
    const heard = [...core.hearing(model, input)];
    const player = new core.Player(model, model.sample_rate, noiseFrom(noise));
    const fit = core.fitTo(model, heard);
    player.configure({ ...settings, ...(fitted && { fit }) });
    const padded = new Float32Array(input.length + player.lateness);
    padded.set(input);
    const audio = new Float32Array(padded.length);
    const size = block ?? padded.length;
    const waiting = [...keys];
    const began = process.cpuUsage();
    for (let at = 0; at < padded.length; at += size) {
      while (waiting.length && waiting[0][0] * model.sample_rate < at + size) {
        const [, method, ...given] = waiting.shift();
        player[method](...given);
      }
      player.process(padded.subarray(at, at + size), audio.subarray(at, at + size));
    }
    const seconds = process.cpuUsage(began).user / 1e6;
    writeFloats(out, audio);
    return { heard, fit, hops: player.meters.hops, broken: player.meters.broken, seconds };
  },

  network({ network, inputs }) {
    const run = core.makeNetwork(network);
    return { outputs: inputs.map((row) => [...run(Float32Array.from(row))]) };
  },

  noise({ length, seed }) {
    const next = seed === undefined ? core.whiteNoise : core.seededNoise(seed);
    return { values: Array.from({ length }, next) };
  },
};

function run({ task, ...rest }) {
  try {
    return TASKS[task](rest) ?? {};
  } catch (error) {
    return { error: error.message };
  }
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const job = JSON.parse(line);
  const source = fs.readFileSync(job.core).toString("base64");
  core = await import(`data:text/javascript;base64,${source}`); // as a module, the way the page loads it
  folder = job.folder;
  process.stdout.write(JSON.stringify(job.tasks.map(run)) + "\n");
}
