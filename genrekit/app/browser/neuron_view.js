// One neuron to move by hand: sign by colour, dash and figure, size by thickness.
// `values` has the names of the page's address.

import { ACTIVATIONS, neuron } from "./arithmetic.js";
import { drag, figure, make, paint } from "./drawing.js";
import { Exhibit, mounted } from "./exhibit.js";

const ROW = 54, REACH = 2, POINTS = 81;

const two = (value) => value.toFixed(2).replace("-", "−");
const range = (count) => Array.from({ length: count }, (_, i) => i + 1);

class View extends Exhibit {
  constructor(root) {
    super(root);
    const { fewer, more, bias, over, curve } = this.part;
    this.picture = this.part.network;
    fewer.onclick = () => this.change({ n: this.values.n - 1 });
    more.onclick = () => this.change({ n: this.values.n + 1 });
    bias.onchange = () => this.change({ bias: bias.checked });
    const end = () => this.release();
    drag(over, (x, y) => this.move({ x1: REACH * (2 * x - 1), x2: REACH * (2 * y - 1) }), end);
    drag(curve, (x) => this.moveSum(this.reach * (2 * x - 1)), end);
  }

  prepare({ examples, says }) {
    this.part.examples.append(...Object.entries(examples).map(([name, values]) => {
      const button = document.createElement("button");
      button.textContent = name;
      button.onclick = () => this.change(values);
      return button;
    }));
    this.kinds = Object.keys(says).map((name) => {
      const kind = Object.assign(document.createElement("input"), { type: "radio", name: "act", value: name });
      const label = document.createElement("label");
      kind.onchange = () => this.change({ act: name });
      label.append(kind, name);
      this.part.kinds.append(label);
      return kind;
    });
  }

  // -- what the hand does -----------------------------------------------------------------------

  // To a place that the sliders have, too.
  move(values) {
    this.hold(Object.fromEntries(Object.entries(values).map(([name, value]) => {
      const [low, high] = this.data.ranges[name[0]];
      return [name, Math.min(high, Math.max(low, Math.round(20 * value) / 20))];
    })));
  }

  // The point on the curve moves by the bias, as the inputs and weights have their own handles.
  moveSum(sum) {
    const { b, bias } = this.values;
    this.values = { ...this.values, bias: true };
    this.move({ b: sum - this.result.sum + (bias ? b : 0) });
  }

  // -- the picture ------------------------------------------------------------------------------

  compute(x1 = this.values.x1, x2 = this.values.x2) {
    const { n, bias, b, act, ...v } = this.values, count = range(n);
    return neuron([x1, x2, v.x3, v.x4, v.x5].slice(0, n), count.map((i) => v[`w${i}`]), bias ? b : 0, act);
  }

  draw(result = this.compute()) {
    const { n, bias, act } = this.values;
    this.result = result;
    const names = [...range(n).map((i) => [`x${i}`, `w${i}`]), ...(bias ? [["b"]] : [])];
    if (this.shown !== names.length + 10 * n) this.layRows(names);
    for (const [name, { slider, output }] of Object.entries(this.rows)) {
      slider.value = this.values[name];
      output.textContent = two(this.values[name]);
    }
    this.part.count.textContent = n;
    this.part.fewer.disabled = n === 1;
    this.part.more.disabled = n === this.data.ranges.n[1];
    this.part.bias.checked = bias;
    for (const kind of this.kinds) kind.checked = kind.value === act;
    this.part.says.textContent = this.data.says[act];
    this.drawNetwork(names);
    this.drawMap();
    this.drawCurve();
    this.writeSum(names);
  }

  layRows(names) {
    this.shown = names.length + 10 * this.values.n;
    this.rows = {};
    this.part.rows.replaceChildren(...names.map((row) => {
      const box = document.createElement("div");
      box.className = "row";
      if (row.length === 1) box.append(document.createElement("span"));
      box.append(...row.map((name) => this.slider(name)));
      return box;
    }));
    this.grips = names.map((row) => {
      const grip = make("line", { class: "grip" });
      let from;
      drag(grip, (x, y, event) => {
        if (event.type === "pointerdown") from = [this.values[row.at(-1)], event.clientY];
        this.move({ [row.at(-1)]: from[0] + (from[1] - event.clientY) / 40 });
      }, () => this.release());
      return grip;
    });
  }

  slider(name) {
    const label = document.createElement("label"), output = document.createElement("output");
    const [min, max] = this.data.ranges[name[0]], kind = { x: "Input", w: "Weight", b: "Bias" }[name[0]];
    const slider = Object.assign(document.createElement("input"), { type: "range", min, max, step: 0.05 });
    slider.setAttribute("aria-label", `${kind} ${name}`);
    slider.oninput = () => this.move({ [name]: Number(slider.value) });
    slider.onchange = () => this.release();
    label.append(name[0] === "w" ? `× ${name} ` : `${name[0] === "b" ? "+ " : ""}${name} `, output, slider);
    this.rows[name] = { slider, output };
    return label;
  }

  // Each row's line to the sum, and from there the answer.
  drawNetwork(names) {
    const { network } = this.part, { positive, negative } = this.data.colours;
    const width = network.clientWidth, height = Math.max(2, names.length) * ROW, middle = height / 2;
    const top = middle - (names.length * ROW) / 2 + 33, r = width < 200 ? 27 : 36;
    const end = width - r - 2, at = end - 2 * r - (width < 200 ? 12 : 36);
    const largest = Math.max(1, ...names.map((row) => Math.abs(this.values[row.at(-1)])));
    const wires = names.flatMap((row, i) => {
      const weight = this.values[row.at(-1)], place = { x1: 8, y1: top + i * ROW, x2: at, y2: middle };
      for (const [key, value] of Object.entries(place)) this.grips[i].setAttribute(key, value);
      this.rows[row.at(-1)].slider.style.setProperty("--colour", weight < 0 ? negative : positive);
      return [make("line", {
        ...place, stroke: weight < 0 ? negative : positive, "stroke-width": 1 + (9 * Math.abs(weight)) / largest,
        "stroke-dasharray": weight < 0 ? "9 6" : "none", "data-weight": weight,
      }), this.grips[i]];
    });
    network.setAttribute("viewBox", `0 0 ${width} ${height}`);
    network.setAttribute("height", height);
    // The lines that are held stay in the drawing, or the pointer would lose them.
    const held = network.querySelector(".grip") ? this.grips.filter((grip) => grip.isConnected) : [];
    for (const node of [...network.childNodes]) if (!held.includes(node)) node.remove();
    for (const node of wires.reverse()) if (!held.includes(node)) network.prepend(node);
    network.append(
      make("line", { x1: at, y1: middle, x2: end, y2: middle, class: "wire" }),
      ...unit(at, middle, r, two(this.result.sum)), make("text", { x: at, y: middle - r - 6, class: "name" }, "sum h"),
      ...unit(end, middle, r, this.result.answer.toFixed(3).replace("-", "−"), "strong"),
      make("text", { x: end, y: middle - r - 6, class: "name" }, "answer"),
    );
  }

  // The answer over both inputs, the line where the sum is 0, the corners 0 and 1, and the inputs.
  drawMap() {
    const { x1, x2, w1, n, act } = this.values, w2 = n > 1 ? this.values.w2 : 0;
    const rest = this.compute(0, 0).sum, curve = ACTIVATIONS[act];
    const sums = Array.from({ length: POINTS ** 2 }, (_, i) => {
      const a = i % POINTS, b = Math.floor(i / POINTS), at = (k) => REACH * ((2 * (k + 0.5)) / POINTS - 1);
      return w1 * at(a) + w2 * at(b) + rest;
    });
    const answers = sums.map(curve);
    const low = act === "tanh" ? -1 : 0, high = act === "relu" ? Math.max(1, ...answers) : 1;
    paint(this.part.map, answers.map((s) => Math.round((255 * (s - low)) / (high - low))), POINTS);
    this.part.scale.textContent = `dark ${low}, bright ${Number(high.toFixed(1))}`.replace("-", "−");
    const place = (a, b) => ({ cx: 25 * (a + REACH), cy: 25 * (REACH - b) });
    const corners = [[0, 0], [0, 1], [1, 0], [1, 1]].filter(([, b]) => n > 1 || !b).flatMap(([a, b]) => {
      const at = place(a, b), answer = two(this.compute(a, b).answer);
      return [make("circle", { ...at, r: 1.5, fill: "white", stroke: "black", "stroke-width": 0.5 }),
        make("text", { x: at.cx, y: at.cy - 4.5 }, answer)];
    });
    const point = make("circle", {
      ...place(x1, n > 1 ? x2 : 0), r: 4, fill: this.data.colours.point, stroke: "white", "stroke-width": 1.2,
    });
    this.part.over.replaceChildren(border(w1, w2, rest), ...corners, point);
  }

  drawCurve() {
    const { curve } = this.part, { act } = this.values, { sum, answer } = this.result;
    if (!this.held) this.reach = Math.max(6, Math.abs(sum) * 1.15);
    const reach = this.reach, low = act === "tanh" ? -1 : 0, high = act === "relu" ? reach : 1;
    const x = (h) => 150 * (1 + h / reach), y = (s) => 100 - (90 * (s - low)) / (high - low);
    const points = Array.from({ length: 301 }, (_, i) => `${i} ${y(ACTIVATIONS[act]((i / 150 - 1) * reach + 1e-9))}`);
    const { positive, point } = this.data.colours, at = { cx: x(sum), cy: y(answer) };
    curve.replaceChildren(
      make("path", { d: `M0 ${y(0)}H300M150 10V100`, stroke: "currentColor", opacity: 0.3 }),
      make("path", { d: `M${points.join("L")}`, fill: "none", stroke: positive, "stroke-width": 3 }),
      make("path", { d: `M${at.cx} ${y(0)}V${at.cy}H0`, fill: "none", stroke: "currentColor", "stroke-dasharray": "3 3" }),
      ...[[-reach, 12, y(0) + 18], [reach, 288, y(0) + 18], [high, 138, 16]].map(([value, left, top]) =>
        make("text", { x: left, y: top }, figure(value, 2))),
      make("circle", { ...at, r: 8, fill: point, stroke: "white", "stroke-width": 2 }),
    );
    curve.setAttribute("aria-label", `The ${act} curve; at a sum of ${two(sum)} it gives ${answer.toFixed(3)}.`);
  }

  // The sum and the activation with the current numbers, and every digit of the products.
  writeSum(names) {
    const { values } = this, { products, sum, answer } = this.result, bias = values.bias ? [bracket(values.b)] : [];
    const terms = names.filter((row) => row[1]).map(([x, w]) => `${bracket(values[x])} · ${bracket(values[w])}`);
    const h = bracket(sum), curve = {
      sigmoid: `1 / (1 + e<sup>−${h}</sup>)`, tanh: `tanh(${figure(sum)})`, relu: `max(0, ${figure(sum)})`,
      step: `1 if ${figure(sum)} > 0, else 0`,
    }[values.act];
    this.part.sum.innerHTML = `<p>h = ${[...terms, ...bias].join(" + ")}</p>`
      + `<p>&ensp; = ${[...products.map(bracket), ...bias].join(" + ")} = <b>${figure(sum)}</b></p>`
      + `<p>${values.act}(h) = ${curve} = <b>${figure(answer)}</b></p>`;
  }
}

function unit(cx, cy, r, content, strong = "") {
  return [make("circle", { cx, cy, r, class: "unit" }), make("text", { x: cx, y: cy + 6, class: strong }, content)];
}

const bracket = (value) => (value < 0 ? `(${figure(value)})` : figure(value));

// The straight line where the sum is 0, cut off at the edge of the map.
function border(w1, w2, rest) {
  const size = Math.hypot(w1, w2), clip = make("svg", { style: "overflow: hidden" });
  if (!size) return clip;
  const end = (way) => [(-rest * w1) / size - way * w2, (-rest * w2) / size + way * w1].map((v) => (25 * v) / size);
  const [[x1, y1], [x2, y2]] = [end(-9), end(9)];
  clip.append(make("line", {
    x1: 50 + x1, y1: 50 - y1, x2: 50 + x2, y2: 50 - y2, stroke: "white", "stroke-width": 0.8, "stroke-dasharray": "3 2",
  }));
  return clip;
}

export default mounted(View);
