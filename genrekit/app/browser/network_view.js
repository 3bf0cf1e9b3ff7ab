// The live network: its drawing, its error curve, and a replay that needs no server.
//
// Each update brings snapshots of the network. They are kept here by the number of examples seen,
// and thinned so that their number stays bounded.
// A snapshot's numbers are one float32 row: weights, biases, activations, deltas, gradients of
// weights, gradients of biases; layer by layer, rows before columns. So the i-th of the weights
// and biases is the i-th number, and its gradient the i-th of the last ones.

import { make } from "./drawing.js";

const SNAPSHOTS_KEPT = 800;
const views = new WeakMap();

export default function (component) {
  const root = component.parentElement;
  let view = views.get(root);
  if (!view) {
    view = new View(root);
    views.set(root, view);
  }
  view.send = component.setTriggerValue;
  view.receive(component.data);
  view.find("view").inert = false;
  return () => view.stop();
}

function number(value, digits = 3) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "not a number" : "too large";
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 1e5)) return powerOfTen(value);
  return value.toFixed(size < 0.1 ? digits + 1 : size < 100 ? digits : 1).replace("-", "−");
}

// 0.00059 as 5.9 × 10⁻⁴.
function powerOfTen(value, digits = 1) {
  const [mantissa, exponent] = value.toExponential(digits).split("e");
  const raised = [...exponent.replace("+", "")].map((c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c])).join("");
  return `${mantissa.replace("-", "−")} × 10${raised}`;
}

function decode(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

const range = (count) => [...Array(count).keys()];
const sum = (counts) => counts.reduce((a, b) => a + b, 0);

class View {
  constructor(root) {
    this.find = (name) => root.querySelector(`[data-part="${name}"]`);
    this.snapshots = new Map();
    this.order = [];
    this.version = null;
    this.at = null; // the snapshot shown; null follows the newest
    this.selected = 0;
    this.hovered = null;
    this.timer = null;
    this.lastSent = 0;
    this.updates = 0;
    this.calm = window.matchMedia("(prefers-reduced-motion: reduce)");
    this.listen();
    this.watcher = new ResizeObserver(() => this.data && this.rebuild());
    this.watcher.observe(this.find("view"));
  }

  listen() {
    this.find("play").addEventListener("click", () => (this.timer ? this.halt() : this.play()));
    this.find("now").addEventListener("click", () => { this.halt(); this.show(null); });
    this.find("scrub").addEventListener("input", (event) => {
      this.halt();
      const index = Number(event.target.value);
      this.show(index >= this.order.length - 1 ? null : index);
    });
    this.find("pick").addEventListener("change", (event) => this.select(Number(event.target.value)));
    const slider = this.find("slide");
    const box = this.find("value");
    slider.addEventListener("input", () => this.edit(Number(slider.value), false));
    slider.addEventListener("change", () => this.edit(Number(slider.value), true));
    box.addEventListener("change", () => {
      const value = Number(box.value.replace(",", "."));
      if (box.value.trim() !== "" && Number.isFinite(value)) this.edit(value, true);
    });
  }

  stop() {
    this.halt();
    this.watcher.disconnect();
  }

  // -- what arrives from the server ------------------------------------------------------

  receive(data) {
    if (!data || !data.sizes) return;
    this.watcher.observe(this.find("view"));
    const shape = JSON.stringify([data.run, data.sizes, data.bias, data.names]);
    if (data.version !== this.version) {
      this.snapshots.clear();
      this.version = data.version;
      this.halt();
      this.at = null;
    }
    this.data = data;
    for (const [seen, epoch, error, held, row] of data.snapshots) {
      this.snapshots.set(seen, { seen, epoch, error, held, row: decode(row) });
    }
    this.thin();
    this.curves = data.curves.map((c) => ({ ...c, rows: decode(c.rows) }));
    if (data.selected !== this.sentSelection) {
      this.sentSelection = data.selected;
      this.selected = data.selected;
    }
    this.updates += 1;
    // Read by tests.
    Object.assign(this.find("view").dataset, {
      updates: this.updates, seen: this.order[this.order.length - 1], training: data.training,
    });
    if (shape !== this.shape) {
      this.shape = shape;
      this.weightList = this.listWeights();
      this.starts = this.layout();
      this.fillPicker();
      this.rebuild();
    } else {
      this.draw();
    }
  }

  // Drop every second snapshot, but not the first, the last or the one on display.
  thin() {
    const shown = this.at === null ? null : this.order[this.at];
    this.order = [...this.snapshots.keys()].sort((a, b) => a - b);
    if (this.order.length > SNAPSHOTS_KEPT) {
      const last = this.order.length - 1;
      this.order = this.order.filter((seen, i) => i % 2 === 0 || i === last || seen === shown);
      this.snapshots = new Map(this.order.map((seen) => [seen, this.snapshots.get(seen)]));
    }
    if (shown !== null) this.at = this.order.indexOf(shown);
    this.find("view").dataset.snapshots = this.order.length;
  }

  listWeights() {
    const { sizes, bias } = this.data;
    const layers = range(sizes.length - 1);
    const biases = layers.flatMap((layer) =>
      range(sizes[layer + 1]).map((to) => ({ layer, from: null, to })));
    const weights = layers.flatMap((layer) => range(sizes[layer]).flatMap((from) =>
      range(sizes[layer + 1]).map((to) => ({ layer, from, to }))));
    return bias ? [...weights, ...biases] : weights;
  }

  // Where each kind of number starts in a row; the first layer has neither biases nor deltas.
  layout() {
    const { sizes } = this.data;
    const activations = this.weightList.length;
    const deltas = activations + sum(sizes);
    const biases = sum(sizes.slice(1).map((count, i) => count * sizes[i]));
    return { biases, activations, deltas, gradients: deltas + sum(sizes.slice(1)) };
  }

  name(layer, unit) { return this.data.names[layer][unit]; }

  label(weight) {
    const to = this.name(weight.layer + 1, weight.to);
    return weight.from === null ? `bias of ${to}` : `${this.name(weight.layer, weight.from)} → ${to}`;
  }

  fillPicker() {
    this.find("pick").replaceChildren(
      ...this.weightList.map((weight, i) => new Option(this.label(weight), i)));
  }

  // -- what the visitor does --------------------------------------------------------------

  select(index) {
    this.selected = index;
    this.draw();
    this.send("select", index);
  }

  edit(value, final) {
    const now = performance.now();
    if (!final && now - this.lastSent < 120) return;
    this.lastSent = now;
    this.send("edit", { weight: this.selected, value, final, stamp: now });
  }

  play() {
    if (this.order.length < 2) return;
    let index = this.at === null ? 0 : this.at;
    if (index >= this.order.length - 1) index = 0;
    const pace = this.calm.matches ? 500 : Math.min(250, Math.max(30, 6000 / this.order.length));
    this.show(index);
    this.timer = setInterval(() => {
      index += 1;
      if (index >= this.order.length - 1) { this.halt(); this.show(null); } else this.show(index);
    }, pace);
    this.find("play").textContent = "Stop";
  }

  halt() {
    clearInterval(this.timer);
    this.timer = null;
    this.find("play").textContent = "Replay";
  }

  show(index) { this.at = index; this.draw(); }

  get snapshot() {
    const last = this.order.length - 1;
    return this.snapshots.get(this.order[this.at === null ? last : Math.min(this.at, last)]);
  }

  // -- drawing ----------------------------------------------------------------------------

  rebuild() {
    this.width = Math.max(280, this.find("view").clientWidth);
    if (this.builtFor === `${this.width}|${this.shape}`) return;
    this.builtFor = `${this.width}|${this.shape}`;
    this.buildNetwork();
    this.draw();
  }

  position(layer, unit) {
    const { sizes } = this.data;
    const left = 46, right = this.width - 58;
    const n = sizes[layer];
    const gap = Math.min(78, (this.height - 34) / n);
    return [
      left + ((right - left) * layer) / (sizes.length - 1),
      this.height / 2 + 8 + (unit - (n - 1) / 2) * gap,
    ];
  }

  buildNetwork() {
    const { sizes } = this.data;
    const most = Math.max(...sizes);
    this.radius = most > 6 || this.width < 420 ? 17 : 20;
    // Between two circles there is room for the lower one's name.
    this.height = Math.max(230, most * (2 * this.radius + 20) + 34);
    const svg = this.find("network");
    svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    svg.setAttribute("height", this.height);
    const lines = make("g"), labels = make("g"), units = make("g");
    this.edges = [];
    const edges = this.weightList.filter((w) => w.from !== null);
    this.labelled = edges.length <= 24 && this.width >= 520;
    edges.forEach((weight, i) => {
      const [x1, y1] = this.position(weight.layer, weight.from);
      const [x2, y2] = this.position(weight.layer + 1, weight.to);
      const line = make("line", { x1, y1, x2, y2 });
      const hit = make("line", { x1, y1, x2, y2, class: "hit" });
      // Nearer to the layer with more units, lines lie further apart and labels do not collide.
      const wide = sizes[weight.layer + 1] > sizes[weight.layer];
      const part = !this.labelled ? 0.5 : wide ? 0.8 - 0.17 * (weight.from % 3) : 0.3;
      const text = label(x1 + (x2 - x1) * part, y1 + (y2 - y1) * part);
      hit.addEventListener("pointerenter", () => { this.hovered = i; this.describe(); });
      hit.addEventListener("pointerleave", () => { this.hovered = null; this.describe(); });
      hit.addEventListener("click", () => this.select(i));
      lines.append(line, hit);
      labels.append(text.node);
      this.edges.push({ line, text });
    });
    this.units = [];
    sizes.forEach((count, layer) => {
      for (const unit of range(count)) units.append(this.buildUnit(layer, unit));
    });
    this.halo = make("line", { class: "halo" });
    svg.replaceChildren(this.halo, lines, labels, units);
  }

  buildUnit(layer, unit) {
    const [x, y] = this.position(layer, unit);
    const group = make("g", { class: "unit" });
    const circle = make("circle", { cx: x, cy: y, r: this.radius });
    const value = make("text", { x, y: y + 4, class: "activation" });
    // Right above its circle no line passes: those that end nearby are hidden by the circles.
    const name = make("text", { x, y: y - this.radius - 5, class: "name" }, this.name(layer, unit));
    group.append(circle, value, name);
    const hovered = { name: this.name(layer, unit), index: this.units.length };
    group.addEventListener("pointerenter", () => { this.hovered = hovered; this.describe(); });
    group.addEventListener("pointerleave", () => { this.hovered = null; this.describe(); });
    this.units.push({ circle, value });
    return group;
  }

  draw() {
    const snapshot = this.snapshot;
    if (!snapshot || !this.edges) return;
    this.drawEdges(snapshot.row);
    this.units.forEach(({ circle, value }, unit) => {
      const a = snapshot.row[this.starts.activations + unit];
      const strength = Number.isFinite(a) ? Math.min(1, Math.abs(a)) : 0;
      circle.style.setProperty("--strength", `${Math.round(strength * 40)}%`);
      value.textContent = Number.isFinite(a) ? (Math.abs(a) < 10 ? a.toFixed(2) : a.toPrecision(2)).replace("-", "−") : "?";
    });
    this.describe();
    this.drawEditor(snapshot);
    this.drawCurve(snapshot);
    this.drawReplay(snapshot);
  }

  drawEdges(row) {
    const start = this.data.lines === "weights" ? 0 : this.starts.gradients;
    const values = this.edges.map((_, i) => row[start + i]);
    const sizes = values.map(Math.abs).filter(Number.isFinite);
    const largest = Math.max(this.data.lines === "weights" ? 1 : 1e-12, ...sizes);
    const { positive, negative } = this.data.colours;
    const thickest = this.edges.length <= 24 ? 7 : this.edges.length <= 80 ? 5 : 3;
    this.halo.style.display = this.selected < this.edges.length ? "" : "none";
    this.edges.forEach(({ line, text }, i) => {
      const value = values[i];
      const size = Number.isFinite(value) ? Math.abs(value) / largest : 1;
      line.setAttribute("stroke", value < 0 ? negative : positive);
      line.setAttribute("stroke-width", (0.8 + thickest * size).toFixed(2));
      line.setAttribute("stroke-dasharray", value < 0 ? "8 5" : "none");
      const chosen = i === this.selected;
      if (chosen) for (const end of ["x1", "y1", "x2", "y2"]) this.halo.setAttribute(end, line.getAttribute(end));
      // Gradients are mostly tiny: written out in full, ten of them would cover each other.
      const written = chosen || (this.labelled && this.data.lines === "weights");
      text.write(written ? number(value, 2) : "", chosen);
    });
  }

  describe() {
    const snapshot = this.snapshot;
    if (!snapshot) return;
    const at = this.hovered, { row } = snapshot;
    const unit = at?.index;
    if (unit !== undefined) {
      const parts = [`${at.name}: gives ${number(row[this.starts.activations + unit], 4)}`];
      const learning = unit - this.data.sizes[0];
      if (learning >= 0) {
        parts.push(`delta ${number(row[this.starts.deltas + learning], 4)}`);
        if (this.data.bias) parts.push(`bias ${number(row[this.starts.biases + learning], 4)}`);
      }
      this.find("readout").textContent = parts.join(", ");
      return;
    }
    const index = at ?? this.selected;
    if (!this.weightList[index]) return;
    this.find("readout").textContent = `${this.label(this.weightList[index])}: weight ` +
      `${number(row[index], 4)}, gradient ${number(row[this.starts.gradients + index], 4)}`;
  }

  drawEditor(snapshot) {
    const weight = this.weightList[this.selected];
    if (!weight) return;
    const picker = this.find("pick"), slider = this.find("slide"), box = this.find("value");
    const focus = picker.getRootNode().activeElement;
    picker.value = String(this.selected);
    const value = snapshot.row[this.selected];
    // Never overwrite what the visitor is typing or dragging.
    if (focus !== slider || this.data.training) slider.value = String(value);
    if (focus !== box) box.value = Number.isFinite(value) ? value.toFixed(4) : "";
    slider.setAttribute("aria-label", `Value of ${this.label(weight)}`);
    for (const input of [slider, box]) input.disabled = this.at !== null;
  }

  drawReplay(snapshot) {
    const scrub = this.find("scrub");
    const last = this.order.length - 1;
    scrub.max = String(Math.max(1, last));
    scrub.value = String(this.at === null ? last : this.at);
    this.find("play").disabled = last < 1;
    this.find("now").disabled = this.at === null;
    const epoch = snapshot.epoch;
    const soFar = epoch % 1 ? "error of this epoch so far" : "error";
    const error = snapshot.error === null ? "error not measured yet" : `${soFar} ${number(snapshot.error, 4)}`;
    const count = `${snapshot.seen.toLocaleString("en-GB")} ${snapshot.seen === 1 ? "example" : "examples"}`;
    this.find("place").textContent =
      `${this.at === null ? "Now" : "Then"}: ${count}, epoch ${epoch.toFixed(epoch % 1 ? 2 : 0)}` +
      ` of ${this.data.epochs}, ${error}`;
    scrub.setAttribute("aria-valuetext", this.find("place").textContent);
  }

  // -- the error curve --------------------------------------------------------------------

  drawCurve(snapshot) {
    const svg = this.find("curve");
    const width = this.width, height = 230;
    const box = { left: 56, right: width - 14, top: 12, bottom: height - 40 };
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("height", height);
    const axis = this.axes(box);
    const parts = [...this.grid(box, axis, width, height)];
    this.curves.forEach((curve, i) => parts.push(...this.curve(curve, axis, i)));
    const now = this.curves.find((curve) => curve.now);
    const at = now && between(now.rows, Math.floor(snapshot.epoch) - 1);
    if (at) {
      const x = axis.x(at.epoch), y = axis.y(at.low) + at.part * (axis.y(at.high) - axis.y(at.low));
      parts.push(make("line", { x1: x, x2: x, y1: box.top, y2: box.bottom, class: "cursor" }));
      parts.push(make("circle", { cx: x, cy: y, r: 5, class: "point" }));
    }
    svg.replaceChildren(...parts);
  }

  axes(box) {
    let top = 0, low = Infinity, end = Math.max(1, this.data.epochs - 1);
    for (const { rows } of this.curves) {
      for (let i = 0; i < rows.length; i += 3) {
        end = Math.max(end, rows[i]);
        for (const v of [rows[i + 1], rows[i + 2]]) {
          if (Number.isFinite(v) && v > 0) { top = Math.max(top, v); low = Math.min(low, v); }
        }
      }
    }
    if (!(top > 0)) { top = 0.1; low = 0.01; }
    const x = (v) => box.left + ((box.right - box.left) * v) / end;
    if (this.data.log) {
      const from = Math.floor(Math.log10(Math.max(low, top * 1e-8))), to = Math.ceil(Math.log10(top) + 1e-9);
      const part = (v) => (Math.log10(Math.max(v, 1e-12)) - from) / Math.max(1, to - from);
      const ticks = Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i));
      return { x, y: (v) => box.bottom - (box.bottom - box.top) * Math.min(1, Math.max(0, part(v))), ticks, end };
    }
    const step = niceStep(top / 4);
    const most = Math.ceil(top / step + 1e-9) * step;
    const ticks = Array.from({ length: Math.round(most / step) + 1 }, (_, i) => i * step);
    return { x, y: (v) => box.bottom - ((box.bottom - box.top) * v) / most, ticks, end };
  }

  grid(box, axis, width, height) {
    const parts = [];
    for (const tick of axis.ticks) {
      const y = axis.y(tick);
      parts.push(make("line", { x1: box.left, x2: box.right, y1: y, y2: y, class: "grid" }));
      parts.push(make("text", { x: box.left - 6, y: y + 4, class: "tick end" }, tickText(tick)));
    }
    const step = Math.max(1, niceStep(axis.end / 5));
    for (let v = 0; v <= axis.end + 1e-9; v += step) {
      parts.push(make("text", { x: axis.x(v), y: box.bottom + 17, class: "tick" }, String(Math.round(v))));
    }
    parts.push(make("text", { x: (box.left + box.right) / 2, y: height - 6, class: "tick" }, "Epoch (one pass over all examples)"));
    const middle = (box.top + box.bottom) / 2;
    parts.push(make("text", { x: 12, y: middle, class: "tick", transform: `rotate(-90 12 ${middle})` },
      "Mean squared error"));
    return parts;
  }

  curve({ label, rows, now }, axis, place) {
    const points = [[], []];
    for (let i = 0; i < rows.length; i += 3) {
      for (const k of [0, 1]) {
        const v = rows[i + 1 + k];
        if (Number.isFinite(v)) points[k].push(`${axis.x(rows[i]).toFixed(1)},${axis.y(v).toFixed(1)}`);
      }
    }
    if (!now) {
      const parts = [make("polyline", { points: points[0].join(" "), class: "line earlier" })];
      // Each run is named at another place along its curve: the ends often coincide.
      const at = points[0][Math.floor(points[0].length * (0.3 + 0.18 * place))];
      if (at) {
        const [x, y] = at.split(",").map(Number);
        parts.push(make("text", { x: Math.min(x, this.width - 24), y: y - 5, class: "name" }, label));
      }
      return parts;
    }
    return [
      make("polyline", { points: points[1].join(" "), class: "line held" }),
      make("polyline", { points: points[0].join(" "), class: "line train" }),
    ];
  }
}

// A number on a line, on a plate of its own so that the line does not run through it.
function label(x, y) {
  const node = make("g", { class: "weight" });
  const plate = make("rect", { height: 16, y: y - 8, rx: 4, class: "plate" });
  const text = make("text", { x, y: y + 4 });
  node.append(plate, text);
  const write = (content, chosen) => {
    const width = content ? content.length * (chosen ? 7.6 : 6.3) + 5 : 0;
    plate.setAttribute("x", x - width / 2);
    plate.setAttribute("width", width);
    node.classList.toggle("chosen", chosen);
    text.textContent = content;
  };
  return { node, write };
}

// Where a curve passes an epoch, between the points on either side that are drawn; null where the
// epoch has not ended. The curve counts epochs from 0 and has a point at the end of each.
function between(rows, epoch) {
  const ends = [];
  for (let i = 0; i < rows.length; i += 3) if (Number.isFinite(rows[i + 1])) ends.push([rows[i], rows[i + 1]]);
  const after = ends.findIndex(([e]) => e >= epoch);
  if (epoch < 0 || after < 0 || ends[0][0] > epoch) return null;
  const [high, low] = [ends[after], ends[Math.max(0, after - 1)]];
  const part = high[0] === low[0] ? 0 : (epoch - low[0]) / (high[0] - low[0]);
  return { epoch, low: low[1], high: high[1], part };
}

function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough || 1));
  for (const factor of [1, 2, 5, 10]) if (factor * power >= rough * 0.999) return factor * power;
  return 10 * power;
}

function tickText(value) {
  if (value === 0) return "0";
  if (value < 1e-4 || value >= 1e5) return powerOfTen(value, 0).replace(/^1 × /, "");
  return String(Number(value.toPrecision(3)));
}
