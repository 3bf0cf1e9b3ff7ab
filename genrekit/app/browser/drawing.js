// What the drawings share: SVG nodes, the hand that drags them, numbers, and pictures of sound.

const SVG = "http://www.w3.org/2000/svg";
// Dark to bright in even steps of lightness, so that it reads in grey as well.
const LOUDNESS = [
  [16, 12, 44], [44, 32, 104], [46, 72, 148], [32, 114, 158],
  [30, 154, 142], [92, 190, 104], [184, 216, 70], [250, 244, 150],
];
const scale = (stops) => Array.from({ length: 256 }, (_, byte) => {
  const at = (byte / 255) * (stops.length - 1), low = Math.min(stops.length - 2, Math.floor(at));
  return stops[low].map((v, k) => Math.round(v + (stops[low + 1][k] - v) * (at - low)));
});
const COLOURS = scale(LOUDNESS);
// Below and above a middle.
export const DIVERGING = scale([[140, 60, 0], [230, 145, 60], [247, 247, 247], [100, 160, 215], [5, 60, 120]]);

export function make(name, attributes = {}, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

// Where the pointer is in a node, 0 to 1 from the left and from below.
export function placeIn(node, { clientX, clientY }) {
  const box = node.getBoundingClientRect();
  return [(clientX - box.left) / box.width, (box.bottom - clientY) / box.height];
}

// While the pointer holds a node, `move` gets its place there.
export function drag(node, move, end = () => {}) {
  const place = (event) => move(...placeIn(node, event), event);
  node.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    node.setPointerCapture(event.pointerId);
    node.onpointermove = place;
    place(event);
  });
  node.addEventListener("lostpointercapture", () => {
    node.onpointermove = null;
    end();
  });
}

// A number to some significant digits as people write it: 9.36 × 10⁻¹⁴ and not 9.36e-14.
export function figure(value, digits = 6) {
  const [mantissa, exponent] = String(Number(value.toPrecision(digits))).replaceAll("-", "−").split("e");
  const raised = [...(exponent ?? "").replace("+", "")].map((c) => (c === "−" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]));
  return exponent ? `${mantissa} × 10${raised.join("")}` : mantissa;
}

export const percent = (p) => `${Math.round(100 * p)}%`;

// Numbers from base64.
export const decode = (text, kind) => new kind(Uint8Array.from(atob(text), (s) => s.charCodeAt(0)).buffer);

// Rows of bytes, the lowest first, painted from the bottom up, one pixel each; as loudness, unless told.
export function paint(canvas, values, rows, colours = COLOURS) {
  const columns = values.length / rows;
  Object.assign(canvas, { width: columns, height: rows });
  const image = new ImageData(columns, rows);
  values.forEach((value, i) => {
    const at = 4 * ((rows - 1 - Math.floor(i / columns)) * columns + (i % columns));
    image.data.set(colours[value], at);
    image.data[at + 3] = 255;
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
}

const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

// Colours by sign, the fuller the larger, on whatever lies below.
export function signColour(positive, negative, full) {
  const colours = [rgb(positive), rgb(negative)];
  return (value, out, at) => {
    const [r, g, b] = colours[value < 0 ? 1 : 0];
    out[at] = r; out[at + 1] = g; out[at + 2] = b;
    out[at + 3] = 200 * Math.min(1, Math.abs(value) / full);
  };
}

// Cividis, by Nuñez, Anderton and Renslow (2018), in even steps: dark to bright, for every eye.
const CIVIDIS = [
  [0, 34, 78], [18, 53, 112], [59, 73, 108], [87, 93, 109], [112, 113, 115],
  [138, 134, 120], [165, 156, 116], [195, 179, 105], [225, 204, 85], [254, 232, 56],
];

export function scaleColour(low, high) {
  const steps = CIVIDIS.length - 1;
  return (value, out, at) => {
    const place = value > low ? Math.min(1, (value - low) / (high - low)) * steps : 0;
    const from = Math.min(steps - 1, Math.floor(place)), part = place - from;
    for (let k = 0; k < 3; k++) out[at + k] = CIVIDIS[from][k] + (CIVIDIS[from + 1][k] - CIVIDIS[from][k]) * part;
    out[at + 3] = 255;
  };
}

// A square of values, the lowest row first, one pixel each.
export function paintPlane(canvas, values, size, colour) {
  if (canvas.width !== size || canvas.height !== size) Object.assign(canvas, { width: size, height: size });
  const image = new ImageData(size, size);
  for (let y = 0, i = 0; y < size; y++) {
    for (let x = 0; x < size; x++, i++) colour(values[i], image.data, 4 * ((size - 1 - y) * size + x));
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}
