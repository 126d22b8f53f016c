// Records from the microphone in the page that shows it: uncompressed, and without the processing browsers
// add for speech, which would change a drum. timbrekitRecorder(id) builds buttons and a level meter in the
// element with that id and answers, once stopped, with a WAV file; or with why there is none.
function timbrekitRecorder(id, maximumSeconds) {
  const place = document.getElementById(id);
  place.innerHTML =
    '<button class="start">● Record</button> <button class="stop" disabled>■ Stop</button> ' +
    '<meter min="-60" max="0" low="-40" high="-3" optimum="-12" value="-60"></meter> <span>ready</span>';
  const [start, stop] = place.querySelectorAll("button");
  const [meter, words] = [place.querySelector("meter"), place.querySelector("span")];
  return new Promise((resolve) => {
    start.onclick = async () => {
      start.disabled = true;
      let stream;
      try {
        const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
        stream = await navigator.mediaDevices.getUserMedia({ audio });
      } catch (error) {
        words.textContent = "no microphone";
        resolve({ error: String(error.name || error) });
        return;
      }
      const context = new AudioContext();
      await context.resume();
      const source = context.createMediaStreamSource(stream);
      // Deprecated, but the one way that needs no second file, which a notebook's page may not load.
      const tap = context.createScriptProcessor(4096, 1, 1);
      const blocks = [];
      let length = 0, finished = false;
      const finish = () => {
        if (finished) return;
        finished = true;
        stop.disabled = true;
        tap.disconnect();
        source.disconnect();
        stream.getTracks().forEach((track) => track.stop());
        context.close();
        words.textContent = (length / context.sampleRate).toFixed(1) + " s recorded";
        resolve({ wav: timbrekitWav(blocks, length, context.sampleRate) });
      };
      tap.onaudioprocess = (event) => {
        if (finished) return; // a last call may come after the end
        const block = event.inputBuffer.getChannelData(0).slice();
        blocks.push(block);
        length += block.length;
        const peak = block.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-6);
        meter.value = 20 * Math.log10(peak);
        const seconds = length / context.sampleRate;
        words.textContent = Math.floor(seconds) + " s" + (peak >= 0.999 ? " – too loud, turn down" : "");
        if (seconds >= maximumSeconds) finish();
      };
      source.connect(tap);
      tap.connect(context.destination); // it runs only while connected; its output stays silent
      stop.onclick = finish;
      stop.disabled = false;
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
async function timbrekitRecordForColab(id, maximumSeconds) {
  for (;;) {
    const result = await timbrekitRecorder(id, maximumSeconds);
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
async function timbrekitRecordToFile(id, maximumSeconds) {
  for (;;) {
    const result = await timbrekitRecorder(id, maximumSeconds);
    if (result.error) {
      const advice = " – allow the microphone for this page, or record with another program, and upload the file.";
      document.getElementById(id).append(advice);
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
