// One clip of music, from its sound wave to a verdict.
//
// While it plays, the sound's clock is the only clock: it places the line and chooses the levels
// and the probabilities to show, without asking the server.

import { decode, make, paint, percent } from "./drawing.js";

const stories = new WeakMap();

const ICONS = { play: "M3 1.5v13l11-6.5z", stop: "M3 3h10v10H3z" };
const BANDS = 96;
const SHOWN = 6;

export default function ({ parentElement, data }) {
  let story = stories.get(parentElement);
  if (!story) stories.set(parentElement, (story = new Story(parentElement)));
  story.receive(data);
  return () => story.part.sound.pause();
}

class Story {
  constructor(root) {
    this.root = root.querySelector("[data-part=story]");
    this.part = {};
    for (const node of root.querySelectorAll("[data-part]")) this.part[node.dataset.part] = node;
    this.icon = this.part.play.querySelector("path");
    const { play, sound } = this.part;
    play.onclick = () => (sound.paused ? sound.play().catch(() => this.cannotPlay()) : sound.pause());
    sound.onplay = () => this.follow();
    sound.onpause = sound.onended = () => this.rest();
    sound.onerror = () => this.cannotPlay();
  }

  receive(data) {
    this.data = data;
    const { wave, mel } = data.pictures;
    this.levels = decode(mel, Uint8Array);
    this.drawWave(decode(wave, Int8Array));
    paint(this.part.mel, this.levels, BANDS);
    this.drawNetwork(data.path, data.genres);
    if (data.sound && this.part.sound.getAttribute("src") !== data.sound) this.part.sound.src = data.sound;
    this.part.play.disabled = !data.sound;
    this.part.about.textContent = data.about;
    this.part.wave.setAttribute("aria-label", `Sound wave of ${data.title}, ${Math.round(data.seconds)} seconds.`);
    if (this.part.sound.paused) this.rest();
  }

  drawWave(values) {
    const top = [], bottom = [];
    for (let i = 0; i < values.length / 2; i++) {
      bottom.push(`${i + 0.5} ${50 - (values[2 * i] / 127) * 48 + 0.4}`);
      top.push(`${i + 0.5} ${50 - (values[2 * i + 1] / 127) * 48 - 0.4}`);
    }
    this.part.wave.replaceChildren(make("path", { d: `M${top.join("L")}L${bottom.reverse().join("L")}Z` }));
  }

  // Each stage of the model as a stack of pictures: as high as it has bands, as wide as it has
  // moments, as deep as it has channels; then a circle for each genre.
  drawNetwork(path, genres) {
    const parts = [];
    let x = 4;
    for (const [channels, bands, moments] of path) {
      const height = Math.max(3, (bands / path[0][1]) * 92), width = Math.max(3, (moments / path[0][2]) * 14);
      const sheets = Math.min(channels, 1 + Math.round(channels / 16), 6);
      for (let sheet = sheets - 1; sheet >= 0; sheet--) {
        const shift = 2.2 * sheet;
        parts.push(make("rect", { x: x + shift, y: 65 - height / 2 - shift, width, height }));
      }
      x += width + 2.2 * (sheets - 1) + 8;
    }
    this.outputs = Array.from({ length: genres }, (_, i) => make("circle", { cx: 188, cy: 65 + (i - (genres - 1) / 2) * (122 / genres), r: 4 }));
    const lines = this.outputs.map((circle) => make("line", { x1: x - 6, y1: 65, x2: 188, y2: circle.getAttribute("cy") }));
    this.part.network.replaceChildren(...lines, ...parts, ...this.outputs);
    const sizes = path.map(([channels, bands, moments]) => `${channels} × ${bands} × ${moments}`);
    this.part.network.setAttribute("aria-label",
      `A network: ${sizes[0]} levels enter, ${path.length - 1} stages of filters make ${sizes.slice(1).join(", ")} ` +
      `numbers of them (channels × bands × moments), and ${genres} genres come out.`);
  }

  // -- the moment ------------------------------------------------------------------------------

  follow() {
    if (this.part.sound.paused) return;
    const seconds = this.part.sound.currentTime;
    this.root.classList.add("playing");
    this.label("stop", "Stop");
    this.show(seconds);
    requestAnimationFrame(() => this.follow());
  }

  rest() {
    this.root.classList.remove("playing");
    this.part.sound.currentTime = 0;
    this.label("play", "Play the clip");
    this.show(null);
  }

  label(icon, action) {
    this.icon.setAttribute("d", ICONS[icon]);
    if (this.part.action.textContent !== action) this.part.action.textContent = action;
  }

  // The clip at a time in seconds, or all of it.
  show(seconds) {
    const at = seconds === null ? 0.5 : Math.min(1, seconds / this.data.seconds);
    this.root.style.setProperty("--at", at);
    this.drawLevels(at);
    this.showVerdict(seconds);
  }

  // One column of the picture as bars, from the bottom up as in the picture beside it.
  drawLevels(at) {
    const columns = this.levels.length / BANDS, column = Math.min(columns - 1, Math.floor(at * columns));
    const values = Array.from({ length: BANDS }, (_, band) => this.levels[band * columns + column]);
    const bars = values.flatMap((value) => Array.from({ length: 100 }, (_, i) => (i < (100 * value) / 255 ? value : 0)));
    paint(this.part.levels, bars, BANDS);
    const loudest = values.indexOf(Math.max(...values));
    const below = Math.round(this.data.floor * (1 - values[loudest] / 255));
    const moment = `Second ${Math.round(at * this.data.seconds)}: a level in decibels for each of ${this.data.path[0][1]} ` +
      `pitch bands. The loudest is ${below ? `${below} dB below` : "at"} the clip's maximum.`;
    if (this.part.moment.textContent !== moment) this.part.moment.textContent = moment;
  }

  showVerdict(seconds) {
    const { verdict, title } = this.data;
    if (!verdict || verdict.problem) {
      this.say("A verdict", "", verdict?.problem ?? "The model is waking up …");
      return;
    }
    const part = seconds === null ? null
      : verdict.segments.find(([start, end]) => start <= seconds && seconds < end) ?? verdict.segments.at(-1);
    const names = Object.keys(verdict.probabilities);
    const values = part ? part[2] : Object.values(verdict.probabilities);
    const genre = verdict.genre ?? "Not sure";
    this.outputs.forEach((circle, i) => {
      circle.setAttribute("r", 2.5 + 4.5 * Math.sqrt(values[i] ?? 0));
      circle.style.fill = verdict.colours[names[i]];
    });
    const state = `${title} ${part?.[0]}`;
    if (state === this.shown) return;
    this.shown = state;
    const order = names.map((name, i) => [name, values[i]]).sort((a, b) => b[1] - a[1]).slice(0, SHOWN);
    this.part.bars.replaceChildren(...order.map(([name, p], i) => this.bar(name, p, i === 0)));
    // The heading says what the bars belong to: only the whole clip has a verdict.
    if (part) {
      this.say(
        `Seconds ${Math.round(part[0])} to ${Math.round(part[1])}`,
        `How likely each genre is for this moment alone. The whole clip's verdict: ${genre}.`,
      );
    } else {
      this.say(`Verdict: ${genre}`, "How likely each genre is for the whole clip.");
    }
  }

  say(heading, text, wait) {
    this.part.genre.textContent = heading;
    this.part.says.textContent = text;
    if (wait === undefined) return;
    const note = document.createElement("span");
    note.className = "wait";
    note.textContent = wait;
    this.part.bars.replaceChildren(note);
  }

  bar(name, p, first) {
    const row = document.createElement("div"), label = document.createElement("span");
    const track = document.createElement("span"), fill = document.createElement("i");
    const value = document.createElement("span");
    row.className = first ? "bar first" : "bar";
    label.textContent = name;
    value.textContent = percent(p);
    fill.style.cssText = `width: ${100 * p}%; background: ${this.data.verdict.colours[name]}`;
    track.append(fill);
    row.append(label, track, value);
    return row;
  }

  cannotPlay() {
    this.part.play.disabled = true;
    this.part.action.textContent = "This browser cannot play the clip";
  }
}
