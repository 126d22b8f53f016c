// The stage view: what is playing, large enough to be read from where one drums, and nothing else.

const FLASH_MS = 160;
const TWO_TAPS_MS = 400; // at most between them
let onStage = false;
let awake = null; // keeps the screen on

// strength: 0..1, of a hit
function flash(strength) {
  if (!onStage) return;
  const disc = $("stage-disc");
  disc.style.setProperty("--strength", 0.3 + 0.7 * strength);
  disc.getAnimations().forEach((animation) => animation.cancel());
  disc.animate([{ opacity: 1 }, { opacity: 0 }], { duration: FLASH_MS, easing: "ease-in" });
}

const bar = (place, decibels) =>
  ($(place).style.transform = `scaleY(${Math.max(0, Math.min(1, (decibels + 60) / 60))})`);

async function enterStage() {
  onStage = true;
  document.documentElement.classList.add("on-stage");
  $("stage-name").textContent = model.name;
  $("stage").hidden = false;
  $("stage").focus();
  await document.documentElement.requestFullscreen?.().catch(() => {}); // refused in frames: it fills the page then
  awake = await navigator.wakeLock?.request("screen").catch(() => null);
}

function leaveStage() {
  if (!onStage) return;
  onStage = false;
  document.documentElement.classList.remove("on-stage");
  $("stage").hidden = true;
  $("to-stage").focus();
  awake?.release();
  if (document.fullscreenElement) document.exitFullscreen();
}

$("to-stage").addEventListener("click", enterStage);
let tappedAt = -Infinity;
$("stage").addEventListener("pointerdown", ({ timeStamp }) => {
  if (timeStamp - tappedAt < TWO_TAPS_MS) leaveStage(); // on a phone there are no keys
  tappedAt = timeStamp;
});
document.addEventListener("fullscreenchange", () => document.fullscreenElement || leaveStage());
addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
  if (event.key.toLowerCase() === "v") (onStage ? leaveStage : enterStage)();
});
