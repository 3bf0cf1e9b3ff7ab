// A song with its evidence: sound, spectrogram, segments and tags on one time axis.
//
// The plot is as wide as its scroller, or a few times that when zoomed; a time t stands at
// t / seconds of its width, in every part of it. The sound's clock is the only clock: whatever
// moves is placed by it, once per animation frame, without asking the server.

import { make, paint, percent } from "./drawing.js";

const players = new WeakMap();

const CELLS = { top: 26, height: 64, marks: 94, whole: 108 };
const AXIS = 22;
// The rows of the tags, below the axis.
const TAGS = { top: 6, row: 19, below: 4 };
// In letters.
const GUTTER = 4.2;
const GUTTER_WITH_TAGS = 9.7;
// Narrower cells are hard to hit with a finger, so zooming is offered.
const NARROW = 28;
// One pattern per genre, drawn in a tile of 8 by 8.
const PATTERNS = [
  "", "M-2 2 2-2M0 8 8 0M6 10 10 6", "M4 4h.01", "M0 4H8", "M-2 6 2 10M0 0 8 8M6-2 10 2", "M4 0V8",
  "M0 4H8M4 0V8", "M0 0 8 8M8 0 0 8", "M0 6 4 2 8 6", "M2 2h.01M6 6h.01", "M1 2H5M4 6H8", "M2.5 2.5h3v3h-3z",
];
const ICONS = { play: "M3 1.5v13l11-6.5z", pause: "M3 2h3.6v12H3zM9.4 2H13v12H9.4z" };

export default function (component) {
  const root = component.parentElement;
  let player = players.get(root);
  if (!player) {
    player = new Player(root);
    players.set(root, player);
  }
  player.send = component.setTriggerValue;
  player.receive(component.data);
  player.view.inert = false;
  return () => player.rest();
}

// -- small tools ---------------------------------------------------------------------------

function item(...content) {
  const node = document.createElement("li");
  node.append(...content);
  return node;
}

function unpack(bytes) {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  const from = 4 + length, to = from + head.hz.length * head.columns;
  head.picture = bytes.subarray(from, to);
  if (head.why) {
    const [bands, columns] = head.why, middle = to + bands * columns;
    head.why = { values: new Int8Array(bytes.slice(to, middle).buffer), areas: bytes.subarray(middle), bands, columns };
  }
  return head;
}

const same = (a, b) => a && a.length === b.length && a.every((byte, i) => byte === b[i]);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

function hertz(hz) {
  return hz < 1000 ? `${Math.round(hz)} Hz` : `${Number((hz / 1000).toPrecision(2))} kHz`;
}

const plain = (seconds) => String(Number(seconds.toFixed(1)));

// 75.5 as 1:15.5, or as 1:15 with no digits.
function clock(seconds, digits = 0) {
  const scale = 10 ** digits;
  const whole = Math.floor(seconds * scale + 1e-6) / scale;
  const minutes = Math.floor(whole / 60);
  return `${minutes}:${(whole - 60 * minutes).toFixed(digits).padStart(digits ? digits + 3 : 2, "0")}`;
}

class Player {
  constructor(root) {
    this.find = (name) => root.querySelector(`[data-part="${name}"]`);
    this.root = root;
    this.view = this.find("player");
    this.audio = this.find("sound");
    this.bytes = null;
    this.calm = window.matchMedia("(prefers-reduced-motion: reduce)");
    this.watcher = new ResizeObserver(() => this.data && this.layout());
    this.reset();
    this.listenToSound();
    this.listenToButtons();
    this.listenToPlot();
    this.view.addEventListener("keydown", (event) => this.key(event));
  }

  rest() { this.watcher.disconnect(); }

  // The state that belongs to one song.
  reset() {
    this.silent = null; // the time of the cursor where there is no sound
    this.alone = null; // the segment that is played by itself
    this.hovered = null;
    this.zoom = 1;
    this.version = 0; // of the sounds
    this.tries = 0;
    this.touched = -Infinity;
  }

  // -- messages from the server ---------------------------------------------------------

  receive(bytes) {
    if (!(bytes instanceof Uint8Array)) return;
    this.watcher.observe(this.find("scroller"));
    if (same(this.bytes, bytes)) return;
    const before = this.data;
    this.bytes = bytes.slice();
    this.data = unpack(this.bytes);
    const newSong = !before || before.sounds[0][1] !== this.data.sounds[0][1] || before.seconds !== this.data.seconds;
    if (newSong) this.open();
    else if (!same(before.edges, this.data.edges)) this.alone = this.hovered = null;
    this.offerVersions(newSong ? null : before.sounds[this.version]);
    // The first map is shown, since the visitor asked for it; later ones keep the choice.
    if (newSong || !before.why || !this.data.why) this.find("show").checked = Boolean(this.data.why);
    this.find("picture").setAttribute("aria-label", this.data.summary);
    this.find("tags").setAttribute("aria-label", this.data.tags_summary);
    this.drawLegend();
    paint(this.find("spectrogram"), this.data.picture, this.data.hz.length);
    this.layout();
  }

  open() {
    this.reset();
    this.say("");
    if (this.data.sounds[0][1]) this.load();
    else this.fallSilent("The sound is not to be had here. Choose a segment to read about it.");
  }

  // Try the server's address and, for a proxy in between, one below this page's folder, in turns.
  load(time = 0) {
    const [, url] = this.data.sounds[this.version];
    const here = new URL(`.${url.slice(url.lastIndexOf("/media/"))}`, location.href);
    const there = new URL(url, location.origin);
    this.audio.src = (this.tries % 2 ? here : there).href;
    if (time) this.audio.currentTime = time;
  }

  // -- versions of the sound ----------------------------------------------------------------

  // Keep to the one that was heard, if it is still offered.
  offerVersions(heard) {
    const { sounds } = this.data, place = this.find("versions");
    const version = Math.max(0, sounds.findIndex(([name]) => heard && name === heard[0]));
    if (heard && heard[1] !== sounds[version][1]) this.hear(version);
    this.version = version;
    place.hidden = sounds.length < 2;
    place.replaceChildren(...sounds.map(([name], index) => {
      const label = document.createElement("label"), input = document.createElement("input");
      Object.assign(input, { type: "radio", name: "version", checked: index === version });
      input.addEventListener("change", () => this.hear(index));
      label.append(input, name);
      return label;
    }));
  }

  // Go on with another version where this one is.
  hear(version) {
    const { time, playing } = this;
    Object.assign(this, { version, silent: null, tries: 0 });
    this.say("");
    this.load(time);
    if (playing) this.play();
    this.drawWhy();
    this.tick();
  }

  // -- the sound ----------------------------------------------------------------------------

  listenToSound() {
    for (const name of ["play", "pause", "ended", "seeked", "durationchange"]) {
      this.audio.addEventListener(name, () => this.data && this.tick());
    }
    // Frames stop in a hidden tab, the sound does not.
    this.audio.addEventListener("timeupdate", () => this.data && this.keepWithin());
    this.audio.addEventListener("error", () => this.failed());
  }

  async failed() {
    if (!this.audio.getAttribute("src") || this.silent !== null) return;
    const address = this.audio.src, time = this.audio.currentTime;
    const answer = await fetch(address, { method: "HEAD" }).catch(() => null);
    if (address !== this.audio.src) return;
    const kind = answer && answer.ok ? answer.headers.get("content-type") || "" : "";
    if (kind.startsWith("audio/")) {
      this.fallSilent("Your browser cannot play this kind of file; the verdict does not suffer.");
    } else if (++this.tries < 6) {
      setTimeout(() => address === this.audio.src && this.load(time), 300 * this.tries);
    } else {
      this.fallSilent("The sound could not be fetched; the verdict does not suffer. Reload the page to hear it.");
    }
  }

  fallSilent(message) {
    this.silent = 0;
    this.audio.pause();
    this.audio.removeAttribute("src");
    this.say(message);
    this.tick();
  }

  say(message) {
    this.find("message").textContent = message;
    this.find("message").hidden = !message;
  }

  get time() {
    return clamp(this.silent === null ? this.audio.currentTime : this.silent, 0, this.data.seconds);
  }

  get playing() { return this.silent === null && !this.audio.paused; }

  seek(time) {
    const { seconds } = this.data;
    if (this.silent === null) this.audio.currentTime = clamp(time, 0, seconds);
    else this.silent = clamp(time, 0, seconds - 1e-3);
    this.tick();
  }

  play() {
    if (this.silent !== null) return;
    if (this.finishedAlone) this.alone = null;
    if (this.atEnd) this.audio.currentTime = 0;
    // Where the browser refuses, it stays paused, and the button says so.
    this.audio.play().catch(() => this.tick());
  }

  toggle() {
    if (this.playing) this.audio.pause();
    else this.play();
  }

  // A file may end a little before the decoded sound, which decoders pad.
  get atEnd() { return this.time >= this.data.seconds - 0.02 || this.audio.ended; }

  get finishedAlone() {
    return this.alone !== null && (this.atEnd || this.time >= this.data.segments[this.alone][1] - 0.02);
  }

  // Stop at the end of a segment that plays alone, and at the end of what was analysed.
  keepWithin() {
    if (!this.playing) return;
    const end = this.alone === null ? this.data.seconds : this.data.segments[this.alone][1];
    if (this.audio.currentTime < end) return;
    this.audio.pause();
    this.audio.currentTime = end;
  }

  tick() {
    cancelAnimationFrame(this.frame);
    this.keepWithin();
    this.place();
    if (this.playing) this.frame = requestAnimationFrame(() => this.tick());
  }

  // -- what the visitor does ----------------------------------------------------------------

  listenToButtons() {
    const on = (name, act) => this.find(name).addEventListener("click", () => this.data && act());
    on("play", () => this.toggle());
    on("alone", () => this.choose(this.segment, true));
    on("back", () => this.step(-1));
    on("next", () => this.step(1));
    on("doubt", () => this.choose(this.nextDoubt(), true));
    on("out", () => this.setZoom(this.zoom / 2));
    on("in", () => this.setZoom(this.zoom * 2));
    this.find("show").addEventListener("change", () => this.data && this.layout());
  }

  listenToPlot() {
    const strip = this.find("strip"), picture = this.find("picture"), scroller = this.find("scroller");
    const tags = this.find("tags");
    for (const part of [strip, tags]) {
      part.addEventListener("click", (event) => {
        if (this.data.segments.length) this.choose(this.segmentAt(this.timeAt(event)), true);
      });
    }
    picture.addEventListener("click", (event) => {
      this.alone = null;
      this.seek(this.timeAt(event));
    });
    for (const part of [strip, picture, tags]) {
      part.addEventListener("pointermove", (event) => this.hover(event));
      part.addEventListener("pointerleave", () => this.unhover());
    }
    // A plot moved by hand does not follow the cursor for a while.
    for (const name of ["wheel", "pointerdown", "touchmove"]) {
      scroller.addEventListener(name, () => { this.touched = performance.now(); }, { passive: true });
    }
  }

  timeAt(event) {
    const box = this.find("plot").getBoundingClientRect();
    return clamp((event.clientX - box.left) / box.width, 0, 0.999999) * this.data.seconds;
  }

  segmentAt(time) {
    return Math.max(0, this.data.edges.slice(0, -1).findLastIndex((edge) => edge <= time));
  }

  // The current segment: the one played alone, else the one under the cursor.
  get segment() { return this.alone ?? this.segmentAt(this.time); }

  choose(index, play) {
    if (!this.data.segments.length) return;
    this.alone = play ? index : null;
    this.hovered = null;
    // An overlapping segment begins in its neighbour's cell: then take the start of its own.
    const start = this.data.segments[index][0];
    this.seek(play ? start : Math.max(start, this.data.edges[index]));
    if (play) this.play();
    this.reveal();
    // A held key passes many segments; only the last is sent to the page.
    clearTimeout(this.sending);
    this.sending = setTimeout(() => this.send("segment", index), 250);
  }

  step(by) {
    const last = this.data.segments.length - 1;
    this.choose(clamp(this.segment + by, 0, last), false);
  }

  disagrees(index) {
    const { verdict, genres, segments } = this.data;
    return verdict !== null && genres[segments[index][2]][0] !== verdict;
  }

  nextDoubt() {
    const n = this.data.segments.length, from = this.segment;
    for (let k = 1; k <= n; k++) if (this.disagrees((from + k) % n)) return (from + k) % n;
    return from;
  }

  key(event) {
    if (!this.data || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.target.type === "radio") return; // the browser's own keys
    const onButton = event.target.closest("button, input");
    const last = this.data.segments.length - 1;
    const acts = {
      ArrowLeft: () => this.step(-1), ArrowRight: () => this.step(1),
      ArrowDown: () => this.step(-1), ArrowUp: () => this.step(1),
      Home: () => this.choose(0, false), End: () => this.choose(last, false),
    };
    // A focused button answers to space and enter itself.
    if (!onButton) Object.assign(acts, { " ": () => this.toggle(), Enter: () => this.choose(this.segment, true) });
    const act = acts[event.key];
    if (!act || (event.repeat && event.key === " ")) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  hover(event) {
    if (event.pointerType !== "mouse") return;
    const time = this.timeAt(event);
    this.hovered = this.data.segments.length ? this.segmentAt(time) : null;
    this.pointed = performance.now();
    this.describe();
    const tip = this.find("tip"), part = event.currentTarget;
    tip.hidden = part === this.find("strip");
    if (tip.hidden) return;
    tip.textContent = part === this.find("picture") ? this.soundAt(event, time) : this.tagAt(event, time);
    // In the presenter view the page's pixels are larger than the plot's.
    const plot = this.find("plot"), box = plot.getBoundingClientRect(), scale = plot.offsetWidth / box.width;
    const y = (event.clientY - box.top) * scale, x = (event.clientX - box.left) * scale;
    const right = x + tip.offsetWidth + 12 > plot.offsetWidth;
    tip.style.transform = `translate(${x + (right ? -10 : 10)}px, ${Math.max(0, y - 26)}px)` +
      (right ? " translateX(-100%)" : "");
  }

  soundAt(event, time) {
    const box = this.find("picture").getBoundingClientRect();
    return `${this.moment(time, this.digits)}, ${hertz(this.hzAt(1 - (event.clientY - box.top) / box.height))}`;
  }

  tagAt(event, time) {
    const box = this.find("heat").getBoundingClientRect(), { tags } = this.data;
    const y = (this.tagsHeight * (event.clientY - box.top)) / box.height - TAGS.top;
    const { name, percent } = tags[clamp(Math.floor(y / TAGS.row), 0, tags.length - 1)];
    return `${this.moment(time, this.digits)}, ${name}: above ${percent[this.segmentAt(time)]}%`;
  }

  unhover() {
    this.hovered = null;
    this.find("tip").hidden = true;
    this.describe();
  }

  // -- zoom -----------------------------------------------------------------------------------

  setZoom(zoom) {
    this.zoom = clamp(zoom, 1, this.mostZoom);
    this.layout();
    this.find("scroller").scrollLeft = this.x(this.time) - this.find("scroller").clientWidth / 2;
  }

  get mostZoom() {
    const narrow = this.find("scroller").clientWidth / Math.max(1, this.data.segments.length);
    return narrow >= NARROW ? 1 : 2 ** Math.ceil(Math.log2((1.4 * NARROW) / narrow));
  }

  // Scroll the cursor into view, with room after it.
  reveal() {
    const scroller = this.find("scroller"), x = this.x(this.time), seen = scroller.clientWidth;
    if (this.zoom === 1) return;
    const from = scroller.scrollLeft;
    if (x < from || x > from + 0.92 * seen) scroller.scrollLeft = x - 0.08 * seen;
  }

  // -- drawing --------------------------------------------------------------------------------

  x(time) { return (time / this.data.seconds) * this.width; }

  // Tenths of a second matter in a short song only.
  get digits() { return this.data.seconds < 60 ? 1 : 0; }

  // Clock time on a long axis, seconds on a short one.
  moment(time, digits = 0) {
    return this.data.seconds >= 60 ? clock(time, digits) : `${time.toFixed(digits)} s`;
  }

  layout() {
    const scroller = this.find("scroller");
    if (!scroller.clientWidth) return;
    const many = this.mostZoom > 1;
    this.zoom = clamp(this.zoom, 1, this.mostZoom);
    this.find("plot").style.width = `${100 * this.zoom}%`;
    this.find("zoom").hidden = !many;
    this.find("out").disabled = this.zoom <= 1;
    this.find("in").disabled = this.zoom >= this.mostZoom;
    this.width = scroller.clientWidth * this.zoom;
    this.drawScale();
    this.drawStrip();
    this.drawTags();
    this.drawBeats();
    this.drawAxis();
    this.drawWhy();
    this.shown = null;
    this.tick();
  }

  // Colour and opacity come from the map; evidence against the genre is striped as well.
  drawWhy() {
    const canvas = this.find("why"), { why } = this.data;
    const on = Boolean(why) && this.find("show").checked;
    this.find("toggle").hidden = !why;
    canvas.hidden = !on;
    this.find("meaning").hidden = !on;
    this.find("picture").classList.toggle("grey", on);
    if (!on) return;
    const [colourFor, colourAgainst] = this.data.signs;
    this.view.style.setProperty("--for", colourFor);
    this.view.style.setProperty("--against", colourAgainst);
    const density = Math.min(window.devicePixelRatio || 1, 4096 / this.width);
    const width = Math.round(this.width * density);
    const height = Math.round(canvas.parentElement.clientHeight * density);
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d"), image = context.createImageData(width, height);
    const signs = this.data.signs.map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
    const period = 9 * density, stripe = 4 * density;
    for (let y = 0, at = 0; y < height; y++) {
      const row = Math.floor((1 - (y + 0.5) / height) * why.bands) * why.columns;
      for (let x = 0; x < width; x++, at += 4) {
        const area = row + Math.floor((x * why.columns) / width), value = why.values[area] / 127;
        // The first of the other versions has only the evidence, the second has none of it.
        if (this.version && (why.areas[area] === 1) !== (this.version === 1)) {
          image.data.set([128, 128, 128, 235], at);
          continue;
        }
        const gap = value < 0 && (x + y) % period > stripe;
        image.data.set(signs[value < 0 ? 1 : 0], at);
        image.data[at + 3] = gap ? 70 * Math.abs(value) : 225 * Math.abs(value) ** 0.8;
      }
    }
    context.putImageData(image, 0, 0);
    this.find("for").textContent = `filled: spoke for ${this.data.explained}`;
  }

  // Height on the picture, from 0 below to 1 above, of a frequency; and back.
  heightOf(hz) {
    const bands = this.data.hz;
    const above = bands.findIndex((band) => band >= hz);
    if (above < 0 || (above === 0 && bands[0] > hz)) return null;
    const share = above ? (hz - bands[above - 1]) / (bands[above] - bands[above - 1]) : 1;
    return (above - 0.5 + share) / bands.length;
  }

  hzAt(height) {
    const bands = this.data.hz, at = clamp(height * bands.length - 0.5, 0, bands.length - 1);
    const low = Math.min(Math.floor(at), Math.max(0, bands.length - 2));
    return bands[low] + ((bands[low + 1] ?? bands[low]) - bands[low]) * (at - low);
  }

  get gutter() {
    const letter = parseFloat(getComputedStyle(this.find("scale")).fontSize);
    return letter * (this.data.tags.length ? GUTTER_WITH_TAGS : GUTTER);
  }

  get tagsHeight() { return TAGS.top + TAGS.row * this.data.tags.length + TAGS.below; }

  drawScale() {
    const tall = this.find("picture").clientHeight, parts = [], { gutter } = this;
    let last = Infinity;
    for (const hz of [20000, 10000, 5000, 2000, 1000, 500, 200, 100, 50]) {
      const height = this.heightOf(hz), y = tall * (1 - (height ?? 0));
      if (height === null || y < 7 || y > tall - 4 || last - y > -17 && last !== Infinity) continue;
      last = y;
      parts.push(make("line", { x1: gutter - 5, x2: gutter, y1: y, y2: y, class: "tick" }));
      parts.push(make("text", { x: gutter - 8, y: y + 4, class: "end" }, hertz(hz)));
    }
    if (this.data.segments.length) {
      for (const [text, y] of [["100%", CELLS.top], ["50%", CELLS.top + CELLS.height / 2], ["0%", CELLS.top + CELLS.height]]) {
        parts.push(make("text", { x: gutter - 8, y: tall + y + 4, class: "end" }, text));
        parts.push(make("line", { x1: gutter - 5, x2: gutter, y1: tall + y, y2: tall + y, class: "tick" }));
      }
    }
    this.data.tags.forEach(({ name, clear }, i) => {
      const y = tall + CELLS.whole + AXIS + TAGS.top + (i + 0.5) * TAGS.row + 4;
      parts.push(make("text", { x: gutter - 8, y, class: clear ? "end clear" : "end" }, name));
    });
    this.find("scale").style.width = `${gutter}px`;
    this.find("scale").replaceChildren(...parts);
  }

  // How strong each tag is in each segment. These are the song's strongest tags, most of them above
  // most reference segments most of the time, so opacity grows with the sixth power.
  drawTags() {
    const { edges, tags } = this.data;
    this.find("tags").hidden = !tags.length;
    if (!tags.length) return;
    const parts = tags.flatMap(({ percent }, row) => percent.map((p, i) => {
      const left = this.x(edges[i]), wide = this.x(edges[i + 1]) - left, gap = wide > 6 ? 0.5 : 0;
      return make("rect", { x: left + gap, width: wide - 2 * gap, y: TAGS.top + row * TAGS.row, height: TAGS.row - 2,
        class: "heat", "fill-opacity": Math.max(0.05, (p / 100) ** 6).toFixed(2) });
    }));
    this.column = make("rect", { y: TAGS.top - 2, height: TAGS.row * tags.length + 2, rx: 3, class: "column" });
    const heat = this.find("heat");
    heat.setAttribute("viewBox", `0 0 ${this.width} ${this.tagsHeight}`);
    heat.style.height = `${this.tagsHeight}px`;
    heat.replaceChildren(...parts, this.column);
  }

  drawStrip() {
    const strip = this.find("strip"), { segments, genres } = this.data;
    strip.style.display = segments.length ? "" : "none";
    this.cells = segments.map((_, i) => this.cell(i));
    this.find("doubt").hidden = !segments.some((_, i) => this.disagrees(i));
    if (!segments.length) return;
    strip.setAttribute("aria-valuemin", "1");
    strip.setAttribute("aria-valuemax", String(segments.length));
    this.find("cells").setAttribute("viewBox", `0 0 ${this.width} ${CELLS.whole}`);
    const defs = make("defs");
    defs.append(...[...new Set(segments.map((row) => row[2]))].map((genre) => this.pattern(genre)));
    const half = CELLS.top + CELLS.height / 2;
    this.find("cells").replaceChildren(defs, ...this.cells,
      make("line", { x1: 0, x2: this.width, y1: half, y2: half, class: "half" }), ...this.runNames());
  }

  pattern(genre, where = "strip") {
    const node = make("pattern", { id: `${where}-${genre}`, width: 8, height: 8, patternUnits: "userSpaceOnUse" });
    node.append(make("path", { d: PATTERNS[genre % PATTERNS.length], class: "pattern" }));
    return node;
  }

  cell(index) {
    const { edges, genres, segments } = this.data;
    const [, , genre, p] = segments[index];
    const left = this.x(edges[index]), wide = this.x(edges[index + 1]) - left;
    const gap = wide > 6 ? 1 : 0;
    const size = { x: left + gap, width: Math.max(0.5, wide - 2 * gap) };
    const tall = CELLS.height * p, bar = { ...size, y: CELLS.top + CELLS.height - tall, height: tall };
    const group = make("g", { class: "cell", "data-segment": index, "data-genre": genres[genre][0] });
    group.append(
      make("rect", { ...size, y: CELLS.top, height: CELLS.height, class: "back" }),
      make("rect", { ...bar, fill: genres[genre][1] }),
      make("rect", { ...bar, fill: `url(#strip-${genre})` }),
    );
    if (wide >= 40) {
      group.append(make("text", { x: left + wide / 2, y: CELLS.top + CELLS.height - 8, class: "value" }, percent(p)));
    }
    if (this.disagrees(index)) {
      const middle = left + wide / 2;
      group.append(wide >= 11
        ? make("text", { x: middle, y: CELLS.marks + 10, class: "mark" }, "≠")
        : make("rect", { ...size, y: CELLS.marks + 1, height: 5, class: "mark" }));
    }
    return group;
  }

  // One name for a run of segments with the same genre, where there is room for it.
  runNames() {
    const { edges, genres, segments } = this.data, names = [];
    for (let from = 0, i = 1; i <= segments.length; i++) {
      if (i < segments.length && segments[i][2] === segments[from][2]) continue;
      const left = this.x(edges[from]), right = this.x(edges[i]), name = genres[segments[from][2]][0];
      if (right - left >= 6.5 * name.length + 4) {
        names.push(make("line", { x1: left + 2, x2: right - 2, y1: 21, y2: 21, class: "run" }));
        names.push(make("text", { x: (left + right) / 2, y: 16, class: "name" }, name));
      }
      from = i;
    }
    return names;
  }

  // White on black, to be seen on any picture.
  drawBeats() {
    const at = this.data.beats.map((beat) => this.x(beat));
    this.find("beats").replaceChildren(...["beat under", "beat"].flatMap((name) =>
      at.map((x) => make("line", { x1: x, x2: x, y1: 2, y2: 12, class: name }))));
  }

  drawAxis() {
    const { seconds } = this.data, parts = [];
    const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600];
    const step = steps.find((s) => this.x(s) >= 56) ?? 600;
    for (let t = 0; t <= seconds + 1e-6; t += step) {
      const x = this.x(t), edge = x < 12 ? "start" : x > this.width - 16 ? "end" : "middle";
      parts.push(make("line", { x1: x, x2: x, y1: 0, y2: 5, class: "tick" }));
      parts.push(make("text", { x, y: 18, class: edge }, this.moment(t)));
    }
    this.find("axis").setAttribute("viewBox", `0 0 ${this.width} ${AXIS}`);
    this.find("axis").replaceChildren(...parts);
  }

  drawLegend() {
    const { genres, segments } = this.data, counts = new Map();
    for (const row of segments) counts.set(row[2], (counts.get(row[2]) ?? 0) + 1);
    const ranked = [...counts].sort((a, b) => b[1] - a[1]);
    const items = ranked.map(([genre, count]) => {
      const swatch = make("svg", { width: 26, height: 16, "aria-hidden": "true" }), box = { width: 26, height: 16, rx: 3 };
      swatch.append(this.pattern(genre, "key"), make("rect", { ...box, fill: genres[genre][1] }),
        make("rect", { ...box, fill: `url(#key-${genre})` }));
      return item(swatch, `${genres[genre][0]} ${count} of ${segments.length}`);
    });
    if (segments.some((_, i) => this.disagrees(i))) {
      items.push(item("≠ or a bar beneath: disagrees with the verdict"));
    }
    if (this.data.tags.length) {
      const swatch = document.createElement("i");
      swatch.className = "strength";
      items.push(item(swatch, "how many of the reference songs' segments a tag exceeds; bold: clear in the song"));
    }
    this.find("legend").replaceChildren(...items);
  }

  // -- what moves -----------------------------------------------------------------------------

  place() {
    // In a folded or hidden part of the page there is nothing to place yet.
    if (!this.width) return;
    const { seconds, segments } = this.data;
    const time = this.time;
    const shown = this.calm.matches && this.playing ? Math.floor(2 * time) / 2 : time;
    this.find("cursor").style.transform = `translateX(${this.x(shown)}px)`;
    const moment = performance.now();
    if (this.playing && moment - this.touched > 4000) this.reveal();
    // A resting pointer does not hold the readout for long.
    if (this.playing && this.hovered !== null && moment - this.pointed > 2500) this.unhover();
    this.write("clock", `${clock(time, this.digits)} / ${clock(seconds, this.digits)}`);
    const state = [segments.length ? this.segment : -1, this.alone, this.playing, this.finishedAlone, this.silent !== null].join();
    if (state === this.shown) return;
    this.shown = state;
    this.showState();
  }

  write(name, text) {
    const node = this.find(name);
    if (node.textContent !== text) node.textContent = text;
  }

  // Update what changes only with the segment or the state.
  showState() {
    const { segments } = this.data, none = !segments.length;
    this.find("icon").setAttribute("d", this.playing ? ICONS.pause : ICONS.play);
    this.write("action", this.playing ? "Pause" : this.finishedAlone && !this.atEnd ? "Play on" : "Play");
    this.find("play").disabled = this.silent !== null;
    for (const name of ["alone", "back", "next"]) this.find(name).disabled = none;
    this.view.dataset.playing = this.playing;
    this.view.dataset.current = none ? "" : this.segment;
    this.describe();
    if (none) return;
    this.cells.forEach((cell, i) => cell.classList.toggle("current", i === this.segment));
    this.find("back").disabled = this.segment === 0;
    this.find("next").disabled = this.segment === segments.length - 1;
    const span = this.find("span");
    span.hidden = this.alone === null;
    if (this.alone !== null) {
      const [start, end] = segments[this.alone];
      span.style.left = `${(100 * start) / this.data.seconds}%`;
      span.style.width = `${(100 * (end - start)) / this.data.seconds}%`;
    }
    if (this.data.tags.length) {
      const left = this.x(this.data.edges[this.segment]), right = this.x(this.data.edges[this.segment + 1]);
      this.column.setAttribute("x", left);
      this.column.setAttribute("width", right - left);
      this.column.style.display = this.alone === null ? "" : "none"; // the span is there instead
    }
    const strip = this.find("strip");
    strip.setAttribute("aria-valuenow", String(this.segment + 1));
    const text = `${this.inWords(this.segment)}. ${this.standing(this.segment)} ${this.heard(this.segment)}`;
    strip.setAttribute("aria-valuetext", text.trim());
  }

  describe() {
    const none = !this.data.segments.length;
    const index = none ? null : this.hovered ?? this.segment;
    this.write("words", none ? "There was nothing to judge." : this.inWords(index));
    this.write("stand", none ? "" : this.standing(index));
    this.find("readout").classList.toggle("apart", !none && this.disagrees(index));
    this.write("heard", none ? "" : this.heard(index));
    this.find("heard").hidden = none || !this.data.tags.length;
  }

  // The strongest tags of a segment, in words.
  heard(index) {
    const { stand_out: standOut, tags } = this.data;
    if (!tags.length) return "";
    const names = standOut[index];
    return names.length ? `Tags that stand out: ${names.join(", ")}.` : "No tag stands out here.";
  }

  inWords(index) {
    const { genres, seconds, segments } = this.data;
    const [start, end, first, p, second, q] = segments[index];
    const span = seconds >= 60
      ? `${clock(start, start % 1 ? 1 : 0)} to ${clock(end, end % 1 ? 1 : 0)}`
      : `${plain(start)} to ${plain(end)} s`;
    const margin = Math.round(100 * p) - Math.round(100 * q);
    return `${span}: ${genres[first][0]} ${percent(p)}, then ${genres[second][0]} ${percent(q)} ` +
      `(margin ${margin} ${margin === 1 ? "point" : "points"})`;
  }

  standing(index) {
    const { verdict } = this.data;
    if (verdict === null) return "The song as a whole: not sure.";
    return this.disagrees(index) ? `≠ Disagrees with the verdict, ${verdict}.` : `✓ Agrees with the verdict, ${verdict}.`;
  }
}
