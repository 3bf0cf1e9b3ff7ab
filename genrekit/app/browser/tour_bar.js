// The tour's bar: its keys, the clip to guess by, and the way to each stop's exhibit.

const LINKS = { ArrowRight: "next", PageDown: "next", ArrowLeft: "back", PageUp: "back" };
// What has a use of its own for arrows, and what even for the keys of a presenter's remote.
const MOVED = "input:not([type=checkbox]), textarea, select, audio, video, canvas, [contenteditable], [role=slider], [role=radio], [role=tab]";
const TYPED = "textarea, [contenteditable], input:not([type=checkbox], [type=radio], [type=range])";
const EXHIBIT = ".st-key-stage, [data-testid=stBidiComponentIsolated], [data-testid=stPlotlyChart]";

let shown = null;
let waiting = 0;

export default function ({ parentElement, data }) {
  const bar = document.querySelector(".st-key-tour_bar");
  const listen = parentElement.querySelector("[data-part=listen]");
  const audio = parentElement.querySelector("[data-part=sound]");
  listen.hidden = !data.sound;
  if (data.sound !== audio.getAttribute("src")) audio.src = data.sound ?? "";
  audio.onplay = audio.onpause = () => {
    listen.firstChild.data = audio.paused ? "▶" : "■";
    listen.ariaPressed = !audio.paused;
  };
  listen.onclick = () => (audio.paused ? audio.play() : audio.pause());

  const press = (event) => {
    const link = bar.querySelector(`.st-key-tour_${LINKS[event.key]} a`);
    const kept = event.key.startsWith("Page") ? TYPED : MOVED;
    if (!link || event.repeat || event.defaultPrevented || event.composedPath()[0].matches?.(kept)) return;
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    link.click();
  };
  document.addEventListener("keydown", press);
  if (shown !== data.stop) {
    if (shown !== null) focusOn(bar);
    shown = data.stop;
    showExhibit(bar);
  }
  return () => {
    audio.pause();
    document.removeEventListener("keydown", press);
  };
}

// Where a screen reader reads on, and the next Tab leads to the bar's buttons.
function focusOn(bar) {
  bar.tabIndex = -1;
  bar.focus({ preventScroll: true });
}

// Once the page stands: to its exhibit, where most of that is not on the first screen.
function showExhibit(bar) {
  clearTimeout(waiting);
  if (!document.querySelector("[data-test-script-state=notRunning]")) {
    waiting = setTimeout(showExhibit, 100, bar);
    return;
  }
  const main = bar.closest("[data-testid=stMain]");
  main.scrollTop = 0;
  const exhibit = [...main.querySelectorAll(EXHIBIT)].find((one) => !bar.contains(one) && one.offsetHeight);
  const off = exhibit?.getBoundingClientRect();
  if (off && off.top > innerHeight / 2) main.scrollTop = off.top - bar.offsetHeight - 8;
}
