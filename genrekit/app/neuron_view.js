// One neuron: sign by colour, dash and figure, size by thickness. Numbers come from the server.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 460, ROW = 62;

export default function ({ parentElement, data }) {
  const svg = parentElement.querySelector("svg");
  if (!data || !svg) return;
  const rows = data.inputs.length + (data.bias === null ? 0 : 1);
  const height = Math.max(150, rows * ROW + 14);
  const middle = height / 2;
  const top = middle - ((rows - 1) * ROW) / 2 + 7;
  const largest = Math.max(1, Math.abs(data.bias ?? 0), ...data.weights.map(Math.abs));
  const parts = data.inputs.flatMap((x, i) => {
    const w = data.weights[i];
    return branch(top + i * ROW, middle, `x${i + 1}`, x, `× ${text(w)}`, w, largest, data.colours);
  });
  if (data.bias !== null) {
    const y = top + data.inputs.length * ROW;
    parts.push(...branch(y, middle, "bias", data.bias, "", data.bias, largest, data.colours));
  }
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${height}`);
  svg.setAttribute("aria-label", data.label);
  svg.replaceChildren(...parts, ...body(middle, data));
}

function make(name, attributes, content) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (content !== undefined) node.textContent = content;
  return node;
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

// An input's circle, its line to the neuron, and the weight written on the line.
function branch(y, middle, name, value, factor, weight, largest, colours) {
  const from = 34, to = 236, part = 0.42;
  return [
    make("line", {
      x1: from, y1: y, x2: to, y2: middle,
      stroke: weight < 0 ? colours.negative : colours.positive,
      "stroke-width": 1 + (9 * Math.abs(weight)) / largest,
      "stroke-dasharray": weight < 0 ? "9 6" : "none",
      "data-weight": weight,
    }),
    ...circle(from, y, 23, text(value)),
    make("text", { x: from, y: y - 27, class: "name" }, name),
    make("text", { x: from + (to - from) * part, y: y + (middle - y) * part + 5, class: "factor" }, factor),
  ];
}

// The sum, the bend and the answer.
function body(middle, data) {
  return [
    make("line", { x1: 236, y1: middle, x2: 422, y2: middle, class: "wire" }),
    ...circle(236, middle, 40, `Σ = ${text(data.sum)}`),
    make("rect", { x: 296, y: middle - 20, width: 74, height: 40, rx: 8 }),
    make("text", { x: 333, y: middle + 5 }, data.activation),
    ...circle(422, middle, 34, text(data.answer, 3), true),
  ];
}
