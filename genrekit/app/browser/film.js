// The film of a run: the network after many numbers of examples, in the order of learning.
//
// A position is a number of examples seen, fractions of which are the stages of slow motion. The
// moment shown is the latest up to the position; between moments nothing is invented.

import { range } from "./network_maths.js";

// Seconds of film below which more is asked for, those for which one moment may be shown, and
// pictures a second.
const AHEAD = 8, STILL = 0.25, PICTURES = 60;
// Milliseconds after which an answer is no longer expected.
const PATIENCE = 10_000;

export function unpack(bytes) {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  return { head, numbers: new Float64Array(bytes.slice(4 + length).buffer) };
}

export class Film {
  constructor(run) {
    Object.assign(this, { run, take: null, moments: [], epochs: [], findings: [], examples: null, broken: false });
    Object.assign(this, { position: 0, asked: null, earlier: [], runs: 1, guess: null });
  }

  // Takes what a message brings. True if the film was cut or is another one.
  receive(head, numbers) {
    const cut = head.take !== this.take;
    const other = cut && head.base === 0 && head.stretch?.examples;
    if (cut) this.cut(head, other);
    this.head = head;
    if (head.stretch) this.add(head.stretch, numbers);
    return cut;
  }

  cut(head, other) {
    // The line of what was, to compare with; other tasks have other errors.
    const like = (one) => JSON.stringify([one.task, one.low, one.high, one.count]);
    const epochs = this.epochs;
    if (this.head && like(this.head) !== like(head)) this.earlier = [];
    else if (epochs.length > 1 && epochs.length * head.count > head.base + head.count) {
      this.earlier = [...this.earlier, { label: `run ${this.runs}`, epochs }].slice(-4);
    }
    if (this.head) this.runs += 1;
    this.take = head.take;
    this.asked = null;
    this.broken = false;
    this.moments = other ? [] : this.moments.filter((one) => one.seen < head.base);
    this.findings = this.findings.filter(([seen]) => seen < head.base && !other);
    this.epochs = this.epochs.slice(0, Math.floor(head.base / head.count));
    this.position = other ? 0 : Math.min(this.position, head.base);
    if (other) this.examples = this.guess = null;
  }

  add(stretch, numbers) {
    const { sizes, count } = this.head, inputs = sizes[0];
    this.asked = null;
    let at = 0;
    const take = (length) => numbers.subarray(at, (at += length));
    if (stretch.examples) {
      const x = take(count * inputs), t = take(count);
      this.examples = range(count).map((i) => [[...x.subarray(i * inputs, (i + 1) * inputs)], t[i]]);
    }
    const width = stretch.moments && (numbers.length - at - 2 * stretch.epochs) / stretch.moments;
    const known = new Map(this.moments.map((one) => [one.seen, one]));
    for (let i = 0; i < stretch.moments; i++) {
      const row = take(width);
      known.set(row[0], { seen: row[0], error: row[1], p: row.subarray(3) });
    }
    this.moments = [...known.values()].sort((a, b) => a.seen - b.seen);
    for (let i = 0; i < stretch.epochs; i++) this.epochs[stretch.first + i] = [...take(2)];
    this.broken ||= stretch.broken;
    const from = this.findings.filter(([seen]) => stretch.findings.every(([other]) => other !== seen));
    this.findings = [...from, ...stretch.findings].sort((a, b) => a[0] - b[0]);
  }

  get total() { return this.head.epochs * this.head.count; }
  get end() { return Math.min(this.total, this.moments[this.moments.length - 1]?.seen ?? 0); }
  get whole() { return this.broken || this.end >= this.total; }
  get last() { return this.whole ? this.end : this.total; }
  get finished() { return this.whole && this.position >= this.end; }

  index(position = this.position) {
    let low = 0, high = this.moments.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.moments[middle].seen <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  get moment() { return this.moments[this.index()]; }
  get found() { return this.findings.filter(([seen]) => seen <= this.position).pop()?.[1] ?? []; }
  // Examples a second; a short film lasts two seconds at least.
  get speed() {
    const speed = this.head.speeds[this.head.view.bp_speed];
    return this.whole ? Math.min(speed, this.end / 2) : speed;
  }

  // Moves as far as there is film, back for negative seconds; true where it ends.
  play(seconds) {
    this.position = Math.max(0, Math.min(this.position + seconds * this.speed, this.end));
    return seconds < 0 ? this.position === 0 : this.finished;
  }

  // What to ask the core for, or null: the run from where the film ends, and a finer part where it
  // would stand still for longer than `STILL`.
  wants() {
    if (!this.moments.length) return this.ask(this.head.base, 0);
    const until = this.position + AHEAD * this.speed, longest = Math.max(STILL * this.speed, this.head.batch);
    for (let i = this.index(), next; (next = this.moments[i + 1]) && this.moments[i].seen < until; i++) {
      if (next.seen - this.moments[i].seen > longest) {
        return this.ask(this.moments[i].seen, Math.max(1, Math.round(this.speed / PICTURES)));
      }
    }
    return this.whole || this.end > until ? null : this.ask(this.end, 0);
  }

  ask(start, grain) {
    if (this.asked && performance.now() - this.asked.at < PATIENCE) return null;
    this.asked = { start, grain, examples: !this.examples, at: performance.now() };
    return this.asked;
  }
}
