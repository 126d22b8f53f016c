// Several instruments on one page: opened from files, chosen by button, number key or MIDI program.
// A page's own script says what it needs of a model (WORDS.needs) and draws the one that plays (showModel).

const instruments = [{ model, settings: {} }]; // settings: what was changed while it was chosen
let chosen = 0;

function showInstruments() {
  $("instruments").replaceChildren(
    ...instruments.map(({ model: { name } }, i) => {
      const button = element("button", { type: "button", "aria-pressed": i === chosen });
      button.append(element("span", { text: name }), element("kbd", { text: i + 1 }));
      button.addEventListener("click", () => chooseInstrument(i));
      return button;
    }),
  );
  $("instruments").hidden = instruments.length < 2;
  const { offsetLeft } = $("instruments").children[chosen];
  $("instruments").parentElement.scrollLeft = offsetLeft - 40; // where they are too many for a phone's width
}

// Plays on with another one; does nothing where there is none of that number.
function chooseInstrument(i) {
  if (i === chosen || !instruments[i]) return;
  chosen = i;
  ({ model } = instruments[i]);
  for (const place of ["name", "stage-name"]) $(place).textContent = model.name;
  document.title = `${model.name} · timbrekit`;
  showInstruments();
  attempt(async () => {
    await sound.use(model, showModel(instruments[i].settings));
    studyFile();
  });
}

// ---------------------------------------------------------------- from files

const IS_INSTRUMENT = /\.(html?|json|pt)$/i;

// The model in a page, in a description as JSON, or in a model file, which is a zip that holds the same JSON.
async function modelIn(file) {
  if (/\.pt$/i.test(file.name)) return JSON.parse(await partOfZip(file, "/extra/timbrekit.json"));
  const text = await file.text();
  if (/\.json$/i.test(file.name)) {
    const content = JSON.parse(text);
    return content.metadata ?? content;
  }
  return JSON.parse(text.split('id="model">')[1].split("<")[0]); // there is no "<" in a page's model
}

// A part of a zip by the end of its name, as text; parts of model files are stored as they are.
async function partOfZip(file, ending) {
  const view = new DataView(await file.arrayBuffer());
  const text = (at, length) => new TextDecoder().decode(new Uint8Array(view.buffer, at, length));
  let end = view.byteLength - 22;
  while (view.getUint32(end, true) !== 0x06054b50) end--; // end of the directory; throws before the beginning
  let at = view.getUint32(end + 16, true);
  for (let parts = view.getUint16(end + 10, true); parts > 0; parts--) {
    const [length, extra, comment] = [28, 30, 32].map((offset) => view.getUint16(at + offset, true));
    if (text(at + 46, length).endsWith(ending) && !view.getUint16(at + 10, true)) {
      const local = view.getUint32(at + 42, true);
      const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
      return text(start, view.getUint32(at + 24, true));
    }
    at += 46 + length + extra + comment;
  }
  throw new Error(`no part ${ending}`);
}

// Whether it plays: what it makes of a tenth of a second of noise is all numbers.
function plays(candidate) {
  const rate = candidate.sample_rate;
  if (!(rate >= 8000 && rate <= 768000)) return false;
  const player = new Player(candidate, rate);
  const output = new Float32Array(rate / 10);
  player.process(output.map(() => 0.5 * Math.random()), output);
  return output.every(Number.isFinite);
}

// Whether it could be opened.
async function openInstrument(file) {
  let candidate;
  try {
    candidate = await modelIn(file);
    if (!WORDS.needs.every((key) => key in candidate) || !isAlike(candidate) || !plays(candidate)) throw new Error();
  } catch {
    return false;
  }
  instruments.push({ model: candidate, settings: {} });
  sound.add(candidate);
  chooseInstrument(instruments.length - 1);
  return true;
}

async function openInstruments(files) {
  clearNotice("instrument");
  const refused = [];
  for (const file of files) if (!(await openInstrument(file))) refused.push(file.name);
  if (!refused.length) return;
  const hold = refused.length > 1 ? "hold" : "holds";
  notice("instrument", `${refused.join(" and ")} ${hold} no instrument that this page plays. ${WORDS.open}`);
}

$("open-instrument").addEventListener("change", ({ target }) => {
  openInstruments([...target.files]);
  target.value = ""; // the same file may be chosen again
});
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
  if (/^Digit[1-9]$/.test(event.code)) chooseInstrument(Number(event.code[5]) - 1);
});
