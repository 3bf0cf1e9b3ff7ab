// What the drawings share: SVG nodes, the hand that drags them, numbers, and pictures of sound.

const SVG = "http://www.w3.org/2000/svg";
// Dark to bright in even steps of lightness, so that it reads in grey as well.
const LOUDNESS = [
  [16, 12, 44], [44, 32, 104], [46, 72, 148], [32, 114, 158],
  [30, 154, 142], [92, 190, 104], [184, 216, 70], [250, 244, 150],
];
// A pixel for each byte, of which `colour` gives red, green, blue and opacity.
const palette = (colour) =>
  new Uint32Array(Uint8ClampedArray.from([...Array(256).keys()].flatMap(colour)).buffer);
const scale = (stops) => palette((byte) => {
  const at = (byte / 255) * (stops.length - 1), low = Math.min(stops.length - 2, Math.floor(at));
  return [...stops[low].map((v, k) => v + (stops[low + 1][k] - v) * (at - low)), 255];
});
export const COLOURS = scale(LOUDNESS);
// Cividis, by Nuñez, Anderton and Renslow (2018), in even steps: dark to bright, for every eye.
export const CIVIDIS = scale([
  [0, 34, 78], [18, 53, 112], [59, 73, 108], [87, 93, 109], [112, 113, 115],
  [138, 134, 120], [165, 156, 116], [195, 179, 105], [225, 204, 85], [254, 232, 56],
]);
// Below and above a middle.
export const DIVERGING = scale([[140, 60, 0], [230, 145, 60], [247, 247, 247], [100, 160, 215], [5, 60, 120]]);

// Two colours below and above a middle, the fainter the nearer, on whatever lies below.
export const fading = (below, above) => palette((byte) =>
  [...[1, 3, 5].map((i) => parseInt((byte < 128 ? below : above).slice(i, i + 2), 16)), 200 * Math.abs(byte / 127.5 - 1)]);

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

// The lowest and highest sample of each piece, in bytes, as one shape.
export function wave(values) {
  const columns = values.length / 2, ends = (k) => Array.from({ length: columns }, (_, i) => `${i} ${128 - values[2 * i + k]}`);
  const svg = make("svg", { viewBox: `0 0 ${columns} 256`, preserveAspectRatio: "none", role: "img", "aria-label": "Waveform" });
  svg.append(make("path", { d: `M${ends(0).join("L")}L${ends(1).reverse().join("L")}Z` }));
  return svg;
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
  const image = new ImageData(columns, rows), pixels = new Uint32Array(image.data.buffer);
  for (let row = rows - 1, i = 0; row >= 0; row--) {
    for (let at = row * columns; at < (row + 1) * columns; at++, i++) pixels[at] = colours[values[i]];
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// Values between `low` and `high`, as bytes.
export function bytes(values, low, high) {
  const found = new Uint8ClampedArray(values.length);
  for (let i = 0; i < values.length; i++) found[i] = (255 * (values[i] - low)) / (high - low);
  return found;
}
