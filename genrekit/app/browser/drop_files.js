// Files dropped anywhere on the page go to its file uploader, which may be hidden or not there yet.

const INPUT = '.st-key-uploads input[type="file"]';
// The uploader takes what is dropped on it by itself.
const UPLOADER = '[data-testid="stFileUploaderDropzone"]';
// Longer than a server takes to draw the uploader.
const PATIENCE_MS = 10_000;
// Removes what listens for each place on a page.
const deaf = new WeakMap();

export default function ({ parentElement, data, setTriggerValue }) {
  deaf.get(parentElement)?.();
  const veil = parentElement.querySelector("[data-part=veil]");
  const brings = (event) => event.dataTransfer?.types.includes("Files") && !event.target.closest?.(UPLOADER);

  const over = (event) => {
    veil.hidden = !brings(event);
    if (veil.hidden) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
  };
  const leave = (event) => { if (!event.relatedTarget) veil.hidden = true; };
  const drop = (event) => {
    veil.hidden = true;
    if (!brings(event) || !event.dataTransfer.files.length) return;
    event.preventDefault();
    const { files } = event.dataTransfer, until = performance.now() + PATIENCE_MS;
    // What the uploader refuses it says itself.
    const refused = [...files].some((file) => file.size > data.bytes);
    if (refused || !document.querySelector(INPUT)) setTriggerValue("dropped", files.length);
    (function hand() {
      const input = document.querySelector(INPUT);
      if (!input) return performance.now() < until && setTimeout(hand, 50);
      input.files = files;
      input.dispatchEvent(new Event("change", { bubbles: true }));
    })();
  };
  const heard = { dragover: over, dragleave: leave, drop };
  for (const [name, hear] of Object.entries(heard)) document.addEventListener(name, hear);
  veil.inert = false;
  deaf.set(parentElement, () => {
    for (const [name, hear] of Object.entries(heard)) document.removeEventListener(name, hear);
  });
  return deaf.get(parentElement);
}
