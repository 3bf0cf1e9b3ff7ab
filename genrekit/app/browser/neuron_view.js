// One neuron: sign by colour, dash and figure, size by thickness. Numbers come from the server.

import { make } from "./drawing.js";

const ROW = 66, INPUT = 23, SUM = 38, ANSWER = 30, BOX = 66;
const drawn = new WeakMap();

export default function ({ parentElement, data }) {
  const svg = parentElement.querySelector("svg");
  if (!data || !svg) return;
  const paint = () => draw(svg, data);
  // Drawn to measure instead of scaled, so that a phone gets letters of full size.
  drawn.get(svg)?.disconnect();
  const watcher = new ResizeObserver(paint);
  watcher.observe(svg);
  drawn.set(svg, watcher);
  paint();
  return () => watcher.disconnect();
}

function draw(svg, data) {
  const width = Math.min(600, Math.max(330, svg.clientWidth));
  const rows = data.inputs.length + (data.bias === null ? 0 : 1);
  const height = Math.max(150, rows * ROW + 18);
  const middle = height / 2 + 4;
  const place = { from: INPUT + 3, sum: width * 0.5, answer: width - ANSWER - 3, middle };
  const largest = Math.max(1, Math.abs(data.bias ?? 0), ...data.weights.map(Math.abs));
  const top = middle - ((rows - 1) * ROW) / 2 + 5;
  const lines = data.inputs.map((x, i) => {
    const w = data.weights[i];
    return { y: top + i * ROW, name: `x${i + 1}`, value: x, weight: w, factor: `× ${text(w)}` };
  });
  if (data.bias !== null) {
    const y = top + data.inputs.length * ROW;
    lines.push({ y, name: "bias", value: data.bias, weight: data.bias, factor: "" });
  }
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("height", height);
  svg.setAttribute("aria-label", data.label);
  svg.replaceChildren(
    ...lines.map((line) => wire(line, place, largest, data.colours)),
    ...lines.flatMap((line) => ending(line, place)),
    ...body(place, data),
  );
}

function text(value, digits = 2) {
  return value.toFixed(digits).replace("-", "−");
}

function circle(x, y, r, content, strong) {
  return [
    make("circle", { cx: x, cy: y, r }),
    make("text", { x, y: y + 5, class: strong ? "strong" : "" }, content),
  ];
}

// The line from an input to the neuron.
function wire({ y, weight }, { from, sum, middle }, largest, colours) {
  return make("line", {
    x1: from, y1: y, x2: sum, y2: middle,
    stroke: weight < 0 ? colours.negative : colours.positive,
    "stroke-width": 1 + (9 * Math.abs(weight)) / largest,
    "stroke-dasharray": weight < 0 ? "9 6" : "none",
    "data-weight": weight,
  });
}

// An input's circle and name, and its weight on a plate of its own on the line.
function ending({ y, name, value, factor }, { from, sum, middle }) {
  const parts = [
    ...circle(from, y, INPUT, text(value)),
    make("text", { x: from, y: y - INPUT - 5, class: "name" }, name),
  ];
  if (!factor) return parts;
  const part = 0.4;
  const x = from + (sum - from) * part, at = y + (middle - y) * part;
  const width = factor.length * 7 + 4;
  return [
    ...parts,
    make("rect", { x: x - width / 2, y: at - 9, width, height: 18, rx: 5, class: "plate" }),
    make("text", { x, y: at + 5, class: "factor" }, factor),
  ];
}

// The sum, the bend and the answer.
function body({ sum, answer, middle }, data) {
  const bend = (sum + SUM + answer - ANSWER) / 2;
  return [
    make("line", { x1: sum, y1: middle, x2: answer, y2: middle, class: "wire" }),
    ...circle(sum, middle, SUM, `Σ = ${text(data.sum)}`),
    make("rect", { x: bend - BOX / 2, y: middle - 20, width: BOX, height: 40, rx: 8 }),
    make("text", { x: bend, y: middle + 5 }, data.activation),
    ...circle(answer, middle, ANSWER, text(data.answer, 3), true),
  ];
}
