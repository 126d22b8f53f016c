// Records from the microphone in the page that shows it: uncompressed, and without the processing browsers
// add for speech, which would change a drum. While it records it says what to play, counts hits and shows the level.
// timbrekitRecorder builds all that in the element with an id and answers, once stopped, with a WAV file; or with why
// there is none. Guided: for drums; else it only shows level and time.

// What to play, one after the other; the next comes once there are enough hits and seconds. The first may be found again
// in the recording: how far eight equal hits lie apart is the player's own scatter. What comes last is held out to
// judge the model, so it is a bit of everything.
const TIMBREKIT_PROMPTS = [
  { words: "One spot, eight times, all alike", hits: 8, seconds: 0 },
  { words: "Soft: as soft as you ever play", hits: 6, seconds: 8 },
  { words: "Hard: your accents", hits: 6, seconds: 8 },
  { words: "From soft to hard, and back", hits: 8, seconds: 8 },
  { words: "Edge: from the middle outwards", hits: 6, seconds: 8 },
  { words: "Rim, and whatever else you play", hits: 6, seconds: 8 },
  { words: "Now all of it: play as you always do", hits: Infinity, seconds: Infinity },
];
const TIMBREKIT_TARGET = 60; // s of a good recording

// Counts hits as the plug-in does before any knob is turned: above 600 Hz, a level that rises suddenly.
class TimbrekitHits {
  constructor(rate) {
    const k = Math.tan((Math.PI * 600) / rate);
    const scale = 1 / (1 + k / 0.707 + k * k);
    this.filter = [scale, 2 * (k * k - 1) * scale, (1 - k / 0.707 + k * k) * scale];
    this.first = this.second = 0; // the filter's memory
    this.fast = this.slow = -55; // dB, which followers of the level begin with
    this.before = 0; // their difference one sample ago
    this.held = 0; // samples until another hit may come
    this.armed = true;
    this.count = 0;
  }

  add(samples) {
    const [scale, a1, a2] = this.filter;
    for (const sample of samples) {
      const high = scale * sample + this.first;
      this.first = -2 * scale * sample - a1 * high + this.second;
      this.second = scale * sample - a2 * high;
      const level = Math.max(20 * Math.log10(Math.abs(high) + 1e-12), -55);
      this.fast += (level - this.fast) / (level > this.fast ? 3 : 383);
      this.slow += (level - this.slow) / 2205;
      const rise = this.fast - this.slow;
      if (rise >= 16 && this.before < 16 && this.armed && this.held === 0) {
        this.count++;
        this.held = 1000;
        this.armed = false;
        continue;
      }
      if (this.held > 0) this.held--;
      if (rise < 4.66) this.armed = true;
      this.before = rise;
    }
  }
}

// Why there is no microphone, as a sentence goes on.
function timbrekitNoMicrophone(error) {
  if (!navigator.mediaDevices) return "this page may not use the microphone (only https and localhost may)";
  const reasons = { NotAllowedError: "the microphone was not allowed", NotFoundError: "no microphone was found",
    NotReadableError: "another program has the microphone" };
  return reasons[error.name] || String(error.name || error);
}

function timbrekitRecorder(id, maximumSeconds, guided) {
  const place = document.getElementById(id);
  place.innerHTML =
    '<button class="start">● Record</button> <button class="stop" disabled>■ Stop</button> ' +
    '<meter min="-60" max="0" low="-40" high="-3" optimum="-12" value="-60" title="Level"></meter> <span>ready</span>' +
    '<div class="guide">' +
    `<progress max="${TIMBREKIT_TARGET}" value="0" title="Of a minute" style="width: 20em"></progress> ` +
    '<b class="hits"></b><p class="prompt" style="font-size: 1.3em; margin: 0.4em 0"></p>' +
    '<button class="skip" hidden>Skip</button> <span class="next" style="color: #777"></span></div>';
  const part = (name) => place.querySelector("." + name);
  const [start, stop, skip] = [part("start"), part("stop"), part("skip")];
  part("guide").hidden = !guided;
  const [meter, words, progress] = [place.querySelector("meter"), place.querySelector("span"), place.querySelector("progress")];
  const [said, hits, next] = [part("prompt"), part("hits"), part("next")];
  said.textContent = "About a minute, one drum. You are told what to play; play on as you like.";
  return new Promise((resolve) => {
    start.onclick = async () => {
      start.disabled = true;
      let stream;
      try {
        const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
        stream = await navigator.mediaDevices.getUserMedia({ audio });
      } catch (error) {
        words.textContent = "no microphone";
        said.textContent = "";
        resolve({ error: timbrekitNoMicrophone(error) });
        return;
      }
      const context = new AudioContext();
      await context.resume();
      const source = context.createMediaStreamSource(stream);
      // Deprecated, but the one way that needs no second file, which a notebook's page may not load.
      const tap = context.createScriptProcessor(4096, 1, 1);
      const blocks = [];
      const counter = new TimbrekitHits(context.sampleRate);
      let length = 0, finished = false;
      let step = 0, stepHits = 0, stepSeconds = 0;
      const recorded = () => length / context.sampleRate;
      const go = () => [step, stepHits, stepSeconds] = [step + 1, counter.count, recorded()];
      const tell = () => {
        const seconds = recorded();
        const { hits: enough, seconds: least } = TIMBREKIT_PROMPTS[step];
        if (counter.count - stepHits >= enough && seconds - stepSeconds >= least) go();
        said.textContent = TIMBREKIT_PROMPTS[step].words;
        const after = TIMBREKIT_PROMPTS[step + 1];
        skip.hidden = !after;
        next.textContent = after ? `then: ${after.words[0].toLowerCase()}${after.words.slice(1)}`
          : seconds < TIMBREKIT_TARGET ? "" : "That is enough: press ■ Stop, or play on.";
        hits.textContent = `${counter.count} hit${counter.count === 1 ? "" : "s"}`;
        progress.value = Math.min(seconds, TIMBREKIT_TARGET);
      };
      const finish = () => {
        if (finished) return;
        finished = true;
        stop.disabled = true;
        tap.disconnect();
        source.disconnect();
        stream.getTracks().forEach((track) => track.stop());
        context.close();
        words.textContent = recorded().toFixed(1) + " s recorded";
        said.textContent = next.textContent = "";
        skip.hidden = true;
        resolve({ wav: timbrekitWav(blocks, length, context.sampleRate), hits: counter.count });
      };
      tap.onaudioprocess = (event) => {
        if (finished) return; // a last call may come after the end
        const block = event.inputBuffer.getChannelData(0).slice();
        blocks.push(block);
        length += block.length;
        counter.add(block);
        const peak = block.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-6);
        meter.value = 20 * Math.log10(peak);
        const target = guided ? ` of ${TIMBREKIT_TARGET}` : "";
        words.textContent = Math.floor(recorded()) + target + " s" + (peak >= 0.999 ? " – too loud, turn down" : "");
        if (guided) tell();
        if (recorded() >= maximumSeconds) finish();
      };
      source.connect(tap);
      tap.connect(context.destination); // it runs only while connected; its output stays silent
      stop.onclick = finish;
      stop.disabled = false;
      skip.onclick = () => {
        go();
        tell();
      };
      if (guided) tell();
    };
  });
}

// A mono 24-bit WAV file as bytes.
function timbrekitWav(blocks, length, rate) {
  const bytes = new Uint8Array(44 + 3 * length + ((3 * length) % 2));
  const view = new DataView(bytes.buffer);
  const text = (at, word) => [...word].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF"), view.setUint32(4, bytes.length - 8, true), text(8, "WAVEfmt ");
  view.setUint32(16, 16, true), view.setUint16(20, 1, true), view.setUint16(22, 1, true);
  view.setUint32(24, rate, true), view.setUint32(28, 3 * rate, true);
  view.setUint16(32, 3, true), view.setUint16(34, 24, true);
  text(36, "data"), view.setUint32(40, 3 * length, true);
  let at = 44;
  for (const block of blocks) {
    for (const value of block) {
      const level = Math.max(-8388608, Math.min(8388607, Math.round(value * 8388608)));
      view.setUint8(at++, level & 255), view.setUint8(at++, (level >> 8) & 255);
      view.setUint8(at++, (level >> 16) & 255);
    }
  }
  return bytes;
}

// Shows a recording that can be listened to, with what can be done with it and a button to record again. Answers with
// true for another take, and with false for a click on one of the elements in `ways`.
function timbrekitAsk(id, wav, ways) {
  const place = document.getElementById(id);
  const url = URL.createObjectURL(new Blob([wav], { type: "audio/wav" }));
  const listen = Object.assign(document.createElement("audio"), { controls: true, src: url });
  const again = Object.assign(document.createElement("button"), { textContent: "Record again" });
  const line = () => document.createElement("br");
  const made = ways(url);
  place.querySelectorAll("button").forEach((button) => button.remove()); // this take is over
  place.append(line(), listen, line(), made, " ", again);
  return new Promise((resolve) => {
    again.onclick = () => {
      URL.revokeObjectURL(url);
      resolve(true);
    };
    if (made.tagName === "BUTTON") made.onclick = () => resolve(false);
  });
}

// In Colab: record until the user likes it, then hand the file to Python in pieces of a megabyte.
async function timbrekitRecordForColab(id, maximumSeconds, guided = true) {
  for (;;) {
    const result = await timbrekitRecorder(id, maximumSeconds, guided);
    if (result.error) return { error: result.error };
    const use = () => Object.assign(document.createElement("button"), { textContent: "Use this recording" });
    if (await timbrekitAsk(id, result.wav, use)) continue;
    window.timbrekitRecording = result.wav;
    return { bytes: result.wav.length };
  }
}
function timbrekitPiece(start, size) {
  return btoa(Array.from(window.timbrekitRecording.subarray(start, start + size), (b) => String.fromCharCode(b)).join(""));
}

// Elsewhere: record, then offer the file for listening and saving.
async function timbrekitRecordToFile(id, maximumSeconds, guided = true) {
  for (;;) {
    const result = await timbrekitRecorder(id, maximumSeconds, guided);
    if (result.error) {
      const advice = "Allow the microphone for this page and run this step again, or record with another program or a phone.";
      const words = Object.assign(document.createElement("p"), { className: "advice" });
      words.textContent = `There is no sound: ${result.error}. ${advice} Then upload the file.`;
      document.getElementById(id).append(words);
      return;
    }
    const save = (url) => {
      const link = Object.assign(document.createElement("a"), { href: url, download: "my recording.wav" });
      link.textContent = "Save the recording";
      const way = document.createElement("span");
      way.append(link, ", then upload it with the button.");
      return way;
    };
    await timbrekitAsk(id, result.wav, save);
  }
}
