// One sound in four pictures and one transport: what each step keeps can be heard in its turn.
//
// The sound's clock is the only clock. A click in a picture seeks; in the last one it also asks the
// server for the cell's calculation.

import { DIVERGING, decode, drag, paint, placeIn, wave } from "./drawing.js";
import { mounted, parts } from "./exhibit.js";
import { Transport } from "./transport.js";

class View {
  constructor(root) {
    this.part = parts(root);
    this.transport = new Transport(this.part, (time) =>
      this.part.pictures.style.setProperty("--at", time / this.data.seconds));
  }

  receive(data) {
    const before = this.data;
    this.data = data;
    if (before?.seconds !== data.seconds || before.pictures[3].values !== data.pictures[3].values) this.open();
    this.buttons.forEach((button, i) => {
      button.textContent = `▶ ${data.steps[i].title}`;
      button.setAttribute("aria-pressed", i === data.step);
    });
    this.part.says.textContent = data.steps[data.step].text;
    this.markCell();
    this.transport.load(data.sound);
    if (this.wanted && data.sound && before?.sound !== data.sound) this.transport.play();
    this.wanted = false;
    this.transport.draw();
    this.part.view.inert = false;
  }

  rest() { this.part.sound.pause(); }

  // -- the pictures -------------------------------------------------------------------------------

  open() {
    const { pictures, hop, seconds } = this.data;
    this.transport.open(seconds);
    this.values = pictures.map(({ values }, i) => decode(values, [Int8Array, Uint8Array, Uint8Array, Float32Array][i]));
    this.frames = this.values[2].length / pictures[2].hz.length;
    this.rows = this.values.map((values) => values.length / this.frames);
    this.cell = document.createElement("b");
    this.buttons = [];
    this.part.pictures.replaceChildren(...pictures.map(({ ticks }, i) => {
      const box = document.createElement("div"), picture = document.createElement("div"), frame = document.createElement("div");
      const button = document.createElement("button");
      button.onclick = () => this.hear(i);
      this.buttons.push(button);
      picture.className = "picture";
      frame.append(i ? this.canvas(i) : wave(this.values[0]));
      picture.append(frame, ...ticks.map(([at, text]) => {
        const tick = document.createElement("i");
        tick.style.bottom = `${100 * at}%`;
        tick.textContent = text;
        return tick;
      }));
      if (i === 3) picture.append(this.cell);
      const at = (event) => {
        const [x, y] = placeIn(picture, event), bound = (v, count) => Math.min(count - 1, Math.max(0, v));
        return [bound(Math.round((x * seconds) / hop), this.frames), bound(Math.floor(y * this.rows[i]), this.rows[i])];
      };
      drag(picture, (x) => this.transport.seek(x * seconds));
      picture.addEventListener("pointermove", (event) => this.read(i, ...at(event)));
      picture.onclick = (event) => i === 3 && this.send("cell", at(event));
      picture.onpointerleave = () => { this.part.says.textContent = this.data.steps[this.data.step].text; };
      box.append(button, picture);
      return box;
    }));
  }

  // A frame's column stands around its moment, so that the first begins half a column outside.
  canvas(i) {
    const canvas = document.createElement("canvas"), { hop, seconds } = this.data;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", ["", "Spectrogram", "Mel spectrogram", "MFCCs; the ring marks the traced one"][i]);
    Object.assign(canvas.style, { left: `${(-50 * hop) / seconds}%`, width: `${(100 * this.frames * hop) / seconds}%` });
    if (i < 3) paint(canvas, this.values[i], this.rows[i]);
    else paint(canvas, relative(this.values[3], this.frames), this.rows[3], DIVERGING);
    return canvas;
  }

  markCell() {
    const { cell: [frame, coefficient], hop, seconds } = this.data;
    this.cell.style.left = `${(100 * frame * hop) / seconds}%`;
    this.cell.style.bottom = `${(100 * (coefficient + 0.5)) / this.rows[3]}%`;
  }

  // What the pointer is at, in numbers.
  read(i, column, row) {
    if (!i) return;
    const value = this.values[i][row * this.frames + column];
    const what = i < 3 ? `${this.data.pictures[i].hz[row].toLocaleString("en")} Hz: ${Math.round((80 * value) / 255)} dB above the floor`
      : `coefficient ${row}: ${value.toFixed(1).replace("-", "−")}`;
    this.part.says.textContent = `${(column * this.data.hop).toFixed(2)} s, ${what}`;
  }

  hear(step) {
    if (step === this.data.step) return this.transport.play();
    this.wanted = true;
    this.send("settings", { step });
  }
}

// Each row relative to its own mean and spread, as bytes: coefficient 0 would drown the others.
function relative(values, columns) {
  return Uint8Array.from({ length: values.length / columns }, (_, i) => i).reduce((bytes, i) => {
    const row = values.subarray(i * columns, (i + 1) * columns), mean = row.reduce((a, b) => a + b, 0) / columns;
    const spread = Math.max(1e-6, Math.sqrt(row.reduce((a, b) => a + (b - mean) ** 2, 0) / columns));
    row.forEach((value, k) => { bytes[i * columns + k] = 127.5 + 42.5 * Math.max(-3, Math.min(3, (value - mean) / spread)); });
    return bytes;
  }, new Uint8Array(values.length));
}

export default mounted(View);
