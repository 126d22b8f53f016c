// What a page says, and what to do when the browser refuses something.

let model = JSON.parse(document.getElementById("model").textContent);
const $ = (id) => document.getElementById(id);
const seconds = (value) => `${(value * 1000).toFixed(1)} ms`;

// One message of a kind at a time; each stays until it is closed or its cause is gone.
function notice(kind, text, bad = true) {
  clearNotice(kind);
  const close = element("button", { type: "button", text: "Close" });
  const box = element(
    "div",
    { class: bad ? "notice bad" : "notice", "data-kind": kind },
    element("span", { text }),
    close,
  );
  close.addEventListener("click", () => box.remove());
  $("notices").append(box);
}

const findNotice = (kind) => document.querySelector(`[data-kind="${kind}"]`);
const clearNotice = (kind) => findNotice(kind)?.remove();

const ADVICE = {
  NotFoundError: "No microphone or interface was found. Plug one in and press Start again.",
  NotReadableError: "Another program is using the input. Close it there and press Start again.",
  OverconstrainedError: "That input is gone. Choose another one and press Start again.",
  SampleRateError:
    "It runs at another sample rate than the instrument, and this browser does not convert it. Set the input to " +
    "48 kHz in the system's sound settings, or open the page in Chrome, Edge or Safari.",
  NotSupportedError:
    "Browsers give inputs only to pages opened from a file, from localhost or over https. " +
    "Download this page and open it with a double click.",
};

function microphoneAdvice(error) {
  if (ADVICE[error.name]) return ADVICE[error.name];
  if (window !== window.top) {
    return "This page sits inside another one that has no microphone. Download it and open it by itself.";
  }
  return "Allow the microphone for this page (the icon beside the address), then press Start again.";
}

function tellMicrophone(error) {
  const failed = error.name === "NotAllowedError" ? "refused" : "could not open";
  notice(
    "microphone",
    `The browser ${failed} the input (${error.name}). ${microphoneAdvice(error)} ${WORDS.still}`,
  );
}

let workletTold = false;

function tellWorklet(error) {
  if (workletTold) return; // once: it cannot change while the page is open
  workletTold = true;
  notice(
    "worklet",
    `The browser refused this page's audio thread (${error.name}), so it cannot listen live or record. ` +
      `${WORDS.still} For live play, download the page and open it with a double click in a current browser.`,
  );
}
