// The map of all questions: input a to the right, b upwards. The cross is the visitor's question
// and can be dragged. Colours are those of the task, so that a finished network looks finished.

import { bytes, CIVIDIS, drag, make, paint } from "./drawing.js";
import { number } from "./formulas.js";
import { mapAxis, truth } from "./network_maths.js";

export const SIZE = 41;

export class AnswerMap {
  // `ask` gets the question that a place in the map stands for, while it is held.
  constructor(svg, canvas, ask, end) {
    Object.assign(this, { svg, canvas });
    const place = (part) => this.axis[0] + Math.min(1, Math.max(0, part)) * (this.axis[SIZE - 1] - this.axis[0]);
    drag(svg, (x, y) => ask([place(x), place(y)]), end);
  }

  build(head, targets) {
    const low = Math.min(...head.low), high = Math.max(...head.high);
    const { bp_map: shown, bp_reach: reach } = head.view;
    this.axis = mapAxis(low, high, Number(reach), SIZE);
    const right = (a, b) => truth(head.task, [a, b], (low + high) / 2);
    this.truth = head.task === "own" ? null : Float64Array.from({ length: SIZE * SIZE }, (_, i) => right(this.axis[i % SIZE], this.axis[Math.floor(i / SIZE)]));
    this.inside = (i) => [this.axis[i % SIZE], this.axis[Math.floor(i / SIZE)]].every((v, k) => v >= head.low[k] && v <= head.high[k]);
    const known = this.truth ? [...this.truth] : targets;
    const trained = this.truth ? known.filter((_, i) => this.inside(i)) : known;
    const spread = Math.max(...trained) - Math.min(...trained) || 1;
    this.scale = shown === "error" ? [0, spread / 2] : [Math.min(...known), Math.max(...known)];
    this.shown = shown;
    this.values = new Float64Array(SIZE * SIZE);
    const x = (v) => (100 * (v - this.axis[0])) / (this.axis[SIZE - 1] - this.axis[0]), y = (v) => 100 - x(v);
    this.at = { x, y };
    const square = make("rect", {
      x: x(head.low[0]), y: y(head.high[1]), width: x(head.high[0]) - x(head.low[0]),
      height: y(head.low[1]) - y(head.high[1]), class: "trained",
    });
    const note = make("text", { x: x(head.low[0]), y: y(head.high[1]) - 1.5, class: "note" }, "trained here");
    this.cross = make("path", { class: "cross" });
    this.svg.replaceChildren(square, note, ...this.line(head), this.cross);
  }

  // Where the right answer is 1, which a sigmoid cannot pass.
  line(head) {
    const parts = [], { truth: t, axis } = this;
    if (t && head.task !== "xor") {
      for (let i = 0; i < SIZE * (SIZE - 1); i++) {
        if (i % SIZE === SIZE - 1) continue;
        const corners = [i, i + 1, i + SIZE + 1, i + SIZE], points = [];
        corners.forEach((from, k) => {
          const to = corners[(k + 1) % 4], part = (1 - t[from]) / (t[to] - t[from]);
          if (t[from] < 1 === t[to] < 1) return;
          const mix = (of) => of(from) + (of(to) - of(from)) * part;
          points.push([this.at.x(mix((j) => axis[j % SIZE])), this.at.y(mix((j) => axis[Math.floor(j / SIZE)]))]);
        });
        if (points.length === 2) parts.push(points);
      }
    }
    const path = make("path", { d: parts.map((ends) => `M${ends.join("L")}`).join(""), class: "one" });
    // Its highest point, where there is room beside it.
    const [x, y] = parts.flat().reduce((a, b) => (b[1] < a[1] ? b : a), [100, 100]);
    return parts.length ? [path, make("text", { x: Math.min(x + 4, 62), y: Math.max(y + 6, 7), class: "note" }, "answer 1")] : [];
  }

  // Paints the answers, and returns how far off they are on average, in the square and everywhere.
  draw(answers, question) {
    const off = { inside: 0, all: 0 };
    let inside = 0;
    for (let i = 0; i < answers.length; i++) {
      const error = this.truth ? Math.abs(this.truth[i] - answers[i]) : 0;
      off.all += error / answers.length;
      if (this.truth && this.inside(i)) { off.inside += error; inside += 1; }
      this.values[i] = this.shown === "error" ? error : this.shown === "truth" ? this.truth[i] : answers[i];
    }
    off.inside /= inside;
    paint(this.canvas, bytes(this.values, ...this.scale), SIZE, CIVIDIS);
    const x = this.at.x(question[0]), y = this.at.y(question[1]);
    this.cross.setAttribute("d", `M${x - 3} ${y - 3}L${x + 3} ${y + 3}M${x + 3} ${y - 3}L${x - 3} ${y + 3}`);
    return off;
  }

  legend() { return this.scale.map((v) => number(v, 2)); }
}
