// One clip of music, from its sound wave to a verdict.
//
// While it plays, the sound's clock is the only clock: the line, the numbers that enter the
// network and the probabilities of the moment are placed from it, and the server is not asked.

const SVG = "http://www.w3.org/2000/svg";
const stories = new WeakMap();

const ICONS = { play: "M3 1.5v13l11-6.5z", stop: "M3 3h10v10H3z" };
const LAYERS = [13, 6, 5, 10];
const SHOWN = 6;
// Dark to bright in even steps of lightness, so that it reads in grey as well.
const LOUDNESS = [
  [16, 12, 44], [44, 32, 104], [46, 72, 148], [32, 114, 158],
  [30, 154, 142], [92, 190, 104], [184, 216, 70], [250, 244, 150],
];

export default function ({ parentElement, data }) {
  let story = stories.get(parentElement);
  if (!story) stories.set(parentElement, (story = new Story(parentElement)));
  story.receive(data);
  return () => story.part.sound.pause();
}

function make(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

const decode = (text, kind) => new kind(Uint8Array.from(atob(text), (s) => s.charCodeAt(0)).buffer);
const percent = (p) => `${Math.round(100 * p)}%`;
const mixed = (a, b, t) => a.map((x, i) => x + t * (b[i] - x));
const hex = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

function loudness(byte) {
  const place = (byte / 255) * (LOUDNESS.length - 1), low = Math.min(Math.floor(place), LOUDNESS.length - 2);
  return mixed(LOUDNESS[low], LOUDNESS[low + 1], place - low);
}

// Rows of bytes, the lowest first, painted from the bottom up, one pixel each.
function paint(canvas, values, rows, colour) {
  const columns = values.length / rows;
  Object.assign(canvas, { width: columns, height: rows });
  const image = new ImageData(columns, rows);
  values.forEach((value, i) => {
    const at = (rows - 1 - Math.floor(i / columns)) * columns + (i % columns);
    image.data.set([...colour(value), 255], 4 * at);
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
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
    const { wave, mel, mfcc } = data.pictures;
    this.numbers = decode(mfcc, Int8Array);
    this.drawWave(decode(wave, Int8Array));
    paint(this.part.mel, decode(mel, Uint8Array), 64, loudness);
    paint(this.part.mfcc, this.numbers, LAYERS[0], (value) => this.signed(value));
    this.drawNetwork();
    if (data.sound && this.part.sound.getAttribute("src") !== data.sound) this.part.sound.src = data.sound;
    this.part.play.disabled = !data.sound;
    this.part.about.textContent = data.about;
    this.part.wave.setAttribute("aria-label", `Sound wave of ${data.title}, ${Math.round(data.seconds)} seconds.`);
    if (this.part.sound.paused) this.rest();
  }

  signed(value) {
    const { positive, negative } = this.data.colours;
    return mixed([245, 245, 245], hex(value < 0 ? negative : positive), Math.min(1, Math.abs(value) / 110));
  }

  drawWave(values) {
    const top = [], bottom = [];
    for (let i = 0; i < values.length / 2; i++) {
      bottom.push(`${i + 0.5} ${50 - (values[2 * i] / 127) * 48 + 0.4}`);
      top.push(`${i + 0.5} ${50 - (values[2 * i + 1] / 127) * 48 - 0.4}`);
    }
    this.part.wave.replaceChildren(make("path", { d: `M${top.join("L")}L${bottom.reverse().join("L")}Z` }));
  }

  drawNetwork() {
    const places = LAYERS.map((count, layer) =>
      Array.from({ length: count }, (_, i) => [12 + (layer * 176) / 3, 65 + (i - (count - 1) / 2) * Math.min(22, 122 / count)]));
    const lines = [], circles = [];
    places.forEach((units, layer) => units.forEach(([x, y]) => {
      for (const [x2, y2] of places[layer + 1] ?? []) lines.push(make("line", { x1: x, y1: y, x2, y2 }));
      circles.push(make("circle", { cx: x, cy: y, r: 4 }));
    }));
    this.part.network.replaceChildren(...lines, ...circles);
    this.inputs = circles.slice(0, LAYERS[0]);
    this.outputs = circles.slice(-LAYERS.at(-1));
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
    const columns = this.numbers.length / LAYERS[0], column = Math.min(columns - 1, Math.floor(at * columns));
    // From the bottom up, as in the picture beside it.
    this.inputs.forEach((circle, i) => {
      const value = this.numbers[(LAYERS[0] - 1 - i) * columns + column];
      circle.style.fill = `rgb(${this.signed(value).map(Math.round)})`;
    });
    this.showVerdict(seconds);
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
    this.say(
      `Verdict: ${genre}`,
      part ? `Seconds ${Math.round(part[0])} to ${Math.round(part[1])} on their own.` : "How probable each genre is, by the whole clip.",
    );
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
