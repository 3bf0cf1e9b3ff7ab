// One clip of music on its way to a verdict, in five pictures in step with it.
//
// The sound's clock is the only clock. The verdict and what the layers put out came with the page,
// segment by segment: nothing is asked while it plays. A click in a picture seeks.

import { decode, drag, paint, percent, wave } from "./drawing.js";
import { mounted, parts } from "./exhibit.js";
import { Transport } from "./transport.js";

const SHOWN = 6;
// The last layer has no moments: its outputs stand in so many rows.
const SUMMARY_ROWS = 20;
const LAYERS = ["filters", "patterns", "patterns", "patterns", "numbers"];

class Story {
  constructor(root) {
    this.part = parts(root);
    this.transport = new Transport(this.part, (time) => this.show(time));
    const { wave, mel, strip } = this.part;
    for (const node of [wave, mel.parentElement, strip]) drag(node, (x) => this.transport.seek(x * this.data.seconds));
  }

  rest() { this.part.sound.pause(); }

  // A picture of one segment; the hand that holds it stays within that.
  seekNear(node) {
    drag(node, (x) => {
      const [start, end] = this.data.verdict.segments[this.segment];
      this.transport.seek(start + Math.min(0.999, Math.max(0, x)) * (end - start));
    });
  }

  receive(data) {
    if (!this.data) this.open(data);
    this.data = data;
    this.transport.load(data.sound);
    if (data.verdict?.segments && !this.layers) this.openNetwork(data.verdict);
    if (!this.layers) this.part.bars.textContent = data.verdict?.problem ?? "The model is waking up …";
    this.transport.draw();
    this.part.story.inert = false;
  }

  open({ about, seconds, bands, pictures }) {
    const sound = wave(decode(pictures.wave, Int8Array));
    sound.setAttribute("aria-label", `Sound wave of the clip, ${Math.round(seconds)} seconds.`);
    this.part.wave.replaceChildren(sound);
    paint(this.part.mel, decode(pictures.mel, Uint8Array), bands);
    this.part.mel.setAttribute("aria-label", "Mel spectrogram of the clip: bright where a pitch is loud.");
    this.part.about.textContent = about;
    this.transport.open(seconds);
  }

  openNetwork({ genre, confidence, seen, layers, segments, colours }) {
    name(this.part.song, genre ?? "not sure", confidence, colours);
    this.seekNear(this.part.seen.parentElement);
    this.seen = decode(seen, Uint8Array);
    this.layers = layers.map(([units, values]) => ({ units, values: decode(values, Uint8Array), canvas: document.createElement("canvas") }));
    this.part.layers.replaceChildren(...this.layers.map(({ units, canvas }, i) => {
      const box = document.createElement("div"), picture = document.createElement("div"), label = document.createElement("p");
      picture.className = i < layers.length - 1 ? "picture near" : "picture summary";
      picture.append(canvas);
      if (i < layers.length - 1) this.seekNear(picture);
      label.append(`${units} `, Object.assign(document.createElement("span"), { textContent: LAYERS[i] }));
      box.append(picture, label);
      return box;
    }));
    this.part.strip.replaceChildren(...segments.map(([start, end, values]) => {
      const block = document.createElement("i");
      block.style.cssText = `left: ${(100 * start) / this.data.seconds}%; width: ${(100 * (end - start)) / this.data.seconds}%; ` +
        `background: ${colours[likeliest(values)[0][0]]}`;
      return block;
    }));
    const told = segments.map(([start, end, values]) => `${likeliest(values)[0][0]} in ${span(start, end)}`);
    this.part.strip.setAttribute("aria-label", `The likeliest genre over time: ${told.join(", ")}.`);
  }

  // -- the moment ---------------------------------------------------------------------------------

  show(time) {
    const { seconds, verdict } = this.data, { story, sound } = this.part;
    story.classList.toggle("playing", !sound.paused && !sound.ended);
    story.style.setProperty("--at", time / seconds);
    if (!this.layers) return;
    const later = verdict.segments.findIndex(([, end]) => time < end);
    const segment = later < 0 ? verdict.segments.length - 1 : later, [start, end] = verdict.segments[segment];
    story.style.setProperty("--near", Math.min(1, (time - start) / (end - start)));
    if (segment === this.segment) return;
    this.segment = segment;
    this.showNetwork(segment, span(start, end));
    this.showVerdict(verdict.segments[segment], span(start, end));
  }

  showNetwork(segment, when) {
    const part = (values) => values.subarray(...[segment, segment + 1].map((k) => (k * values.length) / this.data.verdict.segments.length));
    paint(this.part.seen, part(this.seen), this.data.bands);
    this.part.window.textContent = `S${when.slice(1)}, at one loudness`;
    this.part.seen.setAttribute("aria-label", `Input of the network in ${when}: ${this.data.bands} pitch bands over time.`);
    this.layers.forEach(({ units, values, canvas }, i) => paint(canvas, part(values), i < this.layers.length - 1 ? units : SUMMARY_ROWS));
    const [filters, ...rest] = this.layers.map(({ units }) => units), summary = rest.pop();
    this.part.layers.setAttribute("aria-label",
      `What the layers put out in ${when}, bright where much: ${filters} filters for timbre and rhythm, ` +
      `${rest.length} layers of ${rest[0]} patterns of those, and ${summary} numbers that sum up ${when}.`);
  }

  showVerdict([, , values], when) {
    const order = likeliest(values), [genre, p] = order[0];
    this.part.when.textContent = `Verdict of ${when}`;
    name(this.part.now, genre, p, this.data.verdict.colours);
    this.part.bars.replaceChildren(...order.slice(0, SHOWN).map(([name, value]) => this.bar(name, value)));
  }

  bar(name, p) {
    const row = document.createElement("div"), [label, fill, value] = ["span", "i", "span"].map((tag) => document.createElement(tag));
    label.textContent = name;
    value.textContent = percent(p);
    fill.style.cssText = `--share: ${p}; background: ${this.data.verdict.colours[name]}`;
    row.append(label, fill, value);
    return row;
  }
}

// Genres with their probabilities, the highest first.
const likeliest = (values) => Object.entries(values).sort((a, b) => b[1] - a[1]);

function name(node, genre, p, colours) {
  node.textContent = `${genre} ${percent(p)}`;
  node.style.setProperty("--colour", colours[genre] ?? "currentColor");
}

const span = (start, end) => `seconds ${Math.round(start)} to ${Math.round(end)}`;

export default mounted(Story);
