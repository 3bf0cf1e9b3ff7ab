// The network as a drawing: lines are weights, and in each circle is the map of what its unit
// answers over the two inputs. Lines and the inputs' circles can be dragged up and down.

import { bytes, drag, fading, make, paint } from "./drawing.js";
import { number, powerOfTen } from "./formulas.js";
import { range } from "./network_maths.js";

// Change of a weight, and of a question by the width of the trained range, for each pixel.
const WEIGHT_DRAG = 0.02, QUESTION_DRAG = 0.005;
// What a map in a circle shows as full colour; the others are scaled by their largest value.
const FULL = { sigmoid: 1, tanh: 1, step: 1 };

export class NetworkPicture {
  // `act` has what a hand does: select, hover, weight, question, end.
  constructor(svg, canvas, act) {
    Object.assign(this, { svg, canvas, act });
  }

  build(head, network, width, height) {
    Object.assign(this, { head, network, width, height });
    const { sizes } = head, most = Math.max(...sizes);
    const gap = Math.min(86, (height - 10) / most);
    this.named = gap >= 54;
    this.radius = Math.min(27, (gap - (this.named ? 19 : 3)) / 2);
    this.gap = gap;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.style.height = `${height}px`;
    const lines = make("g"), labels = make("g"), units = make("g");
    this.pulses = make("g", { class: "pulses" });
    this.halo = make("line", { class: "halo" });
    const edges = network.list.filter((weight) => weight.from !== null);
    this.labelled = edges.length <= 24 && width >= 400;
    this.edges = edges.map((weight, i) => this.edge(weight, i, lines, labels));
    this.units = sizes.flatMap((count, layer) => range(count).map((unit) => this.unit(layer, unit, units)));
    this.svg.replaceChildren(this.halo, lines, this.pulses, units, labels);
    const ratio = window.devicePixelRatio || 1;
    Object.assign(this.canvas, { width: width * ratio, height: height * ratio });
    this.canvas.style.height = `${height}px`;
    this.paper = this.canvas.getContext("2d");
    this.paper.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.tile = document.createElement("canvas");
    this.colours = fading(head.colours.negative, head.colours.positive);
  }

  place(layer, unit) {
    const { sizes } = this.head, side = this.radius + 8;
    return [
      side + ((this.width - 2 * side) * layer) / (sizes.length - 1),
      this.height / 2 + (this.named ? 7 : 0) + (unit - (sizes[layer] - 1) / 2) * this.gap,
    ];
  }

  edge(weight, i, lines, labels) {
    const [ax, ay] = this.place(weight.layer, weight.from), [bx, by] = this.place(weight.layer + 1, weight.to);
    const part = this.radius / Math.hypot(bx - ax, by - ay), dx = (bx - ax) * part, dy = (by - ay) * part;
    const ends = { x1: ax + dx, y1: ay + dy, x2: bx - dx, y2: by - dy };
    const line = make("line", ends), hit = make("line", { ...ends, class: "hit" });
    // Nearer to the layer with more units, lines lie further apart and labels do not collide.
    const wide = this.head.sizes[weight.layer + 1] > this.head.sizes[weight.layer];
    const at = wide ? Math.min(0.8, 1 - (this.radius + 24) / (bx - ax)) - 0.27 * (weight.from % 3) : 0.3;
    const text = plate((part) => [ax + (bx - ax) * part, ay + (by - ay) * part], at);
    this.hover(hit, i);
    pull(hit, () => { this.act.select(i); return this.act.value(i); },
      (start, up) => this.act.weight(i, start + up * WEIGHT_DRAG), this.act.end);
    lines.append(line, hit);
    labels.append(text.node);
    return { line, text, ends, layer: weight.layer };
  }

  unit(layer, unit, units) {
    const [x, y] = this.place(layer, unit), name = this.head.names[layer][unit];
    const node = make("g", { class: layer ? "unit" : "unit input" });
    const value = make("text", { x, y: y + 5.5, class: "activation" });
    const circle = make("circle", { cx: x, cy: y, r: this.radius });
    node.append(circle, value);
    if (this.named) node.append(make("text", { x, y: y - this.radius - 4, class: "name" }, name));
    this.hover(node, { layer, unit, name });
    if (!layer) {
      const span = Math.max(...this.head.high) - Math.min(...this.head.low) || 1;
      pull(node, () => this.act.asked(unit), (start, up) => this.act.question(unit, start + up * QUESTION_DRAG * span),
        this.act.end);
    }
    units.append(node);
    return { circle, value, x, y, layer, unit };
  }

  hover(node, what) {
    node.addEventListener("pointerenter", () => this.act.hover(what));
    node.addEventListener("pointerleave", () => this.act.hover(null));
  }

  // `values` of each unit and `lines` of each weight; `written` has texts of slow motion by the
  // index of a unit, or of a weight; `planes` are the units' maps, if there are any.
  draw({ values, lines, gradients, words, selected, written, planes, size }) {
    const sizes = lines.slice(0, this.edges.length).map(Math.abs);
    const largest = Math.max(gradients ? 1e-12 : 1, ...sizes);
    const { positive, negative } = this.head.colours;
    const thickest = this.edges.length <= 24 ? 7 : this.edges.length <= 80 ? 5 : 3;
    this.halo.style.display = selected < this.edges.length ? "" : "none";
    this.edges.forEach(({ line, text, ends }, i) => {
      const value = lines[i], chosen = i === selected;
      line.setAttribute("stroke", value < 0 ? negative : positive);
      line.setAttribute("stroke-width", (0.8 + (thickest * sizes[i]) / largest).toFixed(2));
      line.setAttribute("stroke-dasharray", value < 0 ? "8 5" : "none");
      if (!words) return;
      if (chosen) for (const [end, at] of Object.entries(ends)) this.halo.setAttribute(end, at);
      const own = written?.lines[i];
      const plain = chosen || (this.labelled && !gradients) ? short(value) : "";
      text.write(own ?? (written && !chosen ? "" : plain), chosen || own !== undefined, own !== undefined);
    });
    this.paper.clearRect(0, 0, this.width, this.height);
    this.units.forEach(({ value, x, y, layer }, i) => {
      if (words) value.textContent = written?.units[i] ?? short(values[i]);
      if (layer && planes) this.paintUnit(planes[i - this.head.sizes[0]], size, this.head.kinds[layer - 1], x, y);
    });
  }

  paintUnit(plane, size, kind, x, y) {
    const full = FULL[kind] ?? plane.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-9);
    paint(this.tile, bytes(plane, -full, full), size, this.colours);
    const { paper, radius } = this;
    paper.save();
    paper.beginPath();
    paper.arc(x, y, radius, 0, 2 * Math.PI);
    paper.clip();
    paper.drawImage(this.tile, x - radius, y - radius, 2 * radius, 2 * radius);
    paper.restore();
  }

  // Pulses on their way: `stage` 0 goes forward and 2 back, a part 0 to 1 of the way through all layers.
  pulse(stage, part) {
    const layers = this.head.sizes.length - 1, way = part * layers;
    const layer = Math.min(layers - 1, Math.floor(way)), at = way - layer;
    const moving = stage === 0 || stage === 2 ? this.edges.filter((edge) => edge.layer === (stage ? layers - 1 - layer : layer)) : [];
    while (this.pulses.childElementCount < moving.length) this.pulses.append(make("circle", { r: 5 }));
    [...this.pulses.children].forEach((dot, i) => {
      dot.style.display = moving[i] ? "" : "none";
      if (!moving[i]) return;
      const { x1, y1, x2, y2 } = moving[i].ends, t = stage ? 1 - at : at;
      dot.setAttribute("cx", x1 + (x2 - x1) * t);
      dot.setAttribute("cy", y1 + (y2 - y1) * t);
    });
  }
}

function short(value) {
  if (!Number.isFinite(value)) return "?";
  const size = Math.abs(value);
  return size < 10 ? value.toFixed(2).replace("-", "−") : size < 1e4 ? number(value, size < 100 ? 2 : 4) : powerOfTen(value, 0);
}

// Dragging up and down: `begin` gives the value at the start, `move` gets it and the pixels upwards.
function pull(node, begin, move, end) {
  let start, from;
  drag(node, (x, y, { type, clientY }) => {
    if (type === "pointerdown") [start, from] = [begin(), clientY];
    else if (clientY !== from) move(start, from - clientY);
  }, end);
}

// A text on a plate of its own, so that no line runs through it: at a part of the way, but a formula
// in the middle, where there is room.
function plate(place, at) {
  const node = make("g", { class: "weight" }), back = make("rect", { height: 19, y: -9.5, rx: 4, class: "plate" });
  const text = make("text", { y: 5.5 });
  node.append(back, text);
  let before = null;
  const write = (content, strong, isFormula) => {
    if (before === content + strong) return;
    before = content + strong;
    const raised = content.match(/[⁻⁰¹²³⁴-⁹]/g)?.length ?? 0; // small figures
    const width = content ? (content.length - 0.4 * raised) * (strong ? 8.4 : 7.8) + 5 : 0;
    back.setAttribute("x", -width / 2);
    back.setAttribute("width", width);
    node.setAttribute("transform", `translate(${place(isFormula && content.length > 6 ? 0.45 : at)})`);
    node.classList.toggle("chosen", strong);
    text.textContent = content;
  };
  return { node, write };
}
