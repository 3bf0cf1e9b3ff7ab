// The error by epoch: what has been shown as strong lines, the rest of it faint, earlier runs thin.

import { drag, make } from "./drawing.js";
import { powerOfTen } from "./formulas.js";

// An error above so many times the first leaves the picture at the top.
const TOP = 3;

export class ErrorCurve {
  // `seek` gets the examples that a place in the picture stands for; `rest` is called at the end.
  constructor(svg, seek, rest) {
    this.svg = svg;
    drag(svg, (x) => {
      const part = (x * this.width - this.box.left) / (this.box.right - this.box.left);
      seek(Math.min(1, Math.max(0, part)) * this.film.total);
    }, rest);
  }

  build(film, width, height) {
    Object.assign(this, { film, width, height });
    this.box = { left: 56, right: width - 14, top: 9, bottom: height - 24 };
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.style.height = `${height}px`;
    const { box } = this, axis = this.axes();
    this.axis = axis;
    const parts = [];
    const every = Math.ceil(axis.ticks.length / 4);
    for (const tick of axis.ticks.filter((_, i) => i % every === 0)) {
      const y = axis.y(tick);
      parts.push(make("line", { x1: box.left, x2: box.right, y1: y, y2: y, class: "grid" }));
      parts.push(make("text", { x: box.left - 5, y: y + 5.5, class: "tick end" }, tickText(tick)));
    }
    const step = Math.max(1, niceStep(film.head.epochs / 5));
    for (let epoch = 0; epoch <= film.head.epochs; epoch += step) {
      parts.push(make("text", { x: axis.x(epoch), y: box.bottom + 20, class: "tick" }, String(epoch)));
    }
    parts.push(make("text", { x: box.left - 9, y: box.bottom + 20, class: "tick end" }, "Epoch"));
    film.earlier.forEach(({ label, epochs }, place) => {
      parts.push(this.line(epochs, 0, "line earlier"));
      const i = Math.floor(epochs.length * (0.3 + 0.18 * place));
      parts.push(make("text", { x: axis.x(i + 1), y: axis.y(epochs[i][0]) - 5, class: "name" }, label));
    });
    const clip = make("clipPath", { id: "shown" });
    this.shown = make("rect", { x: 0, y: 0, height, width: 0 });
    clip.append(this.shown);
    const lines = () => [this.line(film.epochs, 1, "line held"), this.line(film.epochs, 0, "line train")];
    const faint = make("g", { class: "faint", "clip-path": "url(#known)" }), strong = make("g", { "clip-path": "url(#shown)" });
    const known = make("clipPath", { id: "known" });
    this.known = make("rect", { x: 0, y: 0, height, width: 0 });
    known.append(this.known);
    faint.append(...lines());
    strong.append(...lines());
    this.cursor = make("line", { y1: box.top, y2: box.bottom, class: "cursor" });
    this.dot = make("circle", { r: 5, class: "point" });
    this.svg.replaceChildren(clip, known, ...parts, faint, strong, this.cursor, this.dot);
  }

  // Each epoch's point stands at its end.
  line(epochs, which, name) {
    const points = [];
    epochs.forEach((epoch, i) => {
      if (Number.isFinite(epoch[which])) points.push(`${this.axis.x(i + 1).toFixed(1)},${this.axis.y(epoch[which]).toFixed(1)}`);
    });
    return make("polyline", { points: points.join(" "), class: name });
  }

  // `most` is the furthest position that was shown.
  draw(position, most) {
    const { film, axis } = this, epoch = position / film.head.count;
    this.shown.setAttribute("width", axis.x(epoch));
    this.known.setAttribute("width", axis.x(most / film.head.count));
    this.cursor.setAttribute("x1", axis.x(epoch));
    this.cursor.setAttribute("x2", axis.x(epoch));
    const low = film.epochs[Math.floor(epoch) - 1], high = film.epochs[Math.ceil(epoch) - 1];
    this.dot.style.display = low && high ? "" : "none";
    if (!low || !high) return;
    const from = axis.y(low[0]), to = axis.y(high[0]);
    this.dot.setAttribute("cx", axis.x(epoch));
    this.dot.setAttribute("cy", from + (to - from) * (epoch % 1));
  }

  axes() {
    const { box, film } = this, first = film.epochs[0]?.[0] ?? film.earlier[0]?.epochs[0][0] ?? 0.1;
    let top = 0, low = Infinity;
    for (const { epochs } of [...film.earlier, film]) {
      for (const v of epochs.flat()) {
        if (v > 0 && v < Infinity) { top = Math.max(top, v); low = Math.min(low, v); }
      }
    }
    top = Math.min(top || first, TOP * first) || 0.1;
    const x = (epoch) => box.left + ((box.right - box.left) * epoch) / film.head.epochs;
    const y = (part) => box.bottom - (box.bottom - box.top) * Math.min(1.05, Math.max(0, part));
    if (film.head.log) {
      const from = Math.floor(Math.log10(Math.max(Math.min(low, top / 10), top * 1e-8))), to = Math.ceil(Math.log10(top) + 1e-9);
      const ticks = Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i));
      return { x, y: (v) => y((Math.log10(Math.max(v, 1e-12)) - from) / (to - from)), ticks };
    }
    const step = niceStep(top / 3), most = Math.ceil(top / step - 1e-9) * step;
    return { x, y: (v) => y(v / most), ticks: Array.from({ length: Math.round(most / step) + 1 }, (_, i) => i * step) };
  }
}

function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough || 1));
  return [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999) * power;
}

function tickText(value) {
  if (value && (value < 1e-4 || value >= 1e5)) return powerOfTen(value, 0).replace(/^1·/, "");
  return String(Number(value.toPrecision(3)));
}
