// One example in slow motion, as formulas with the current numbers in them.
//
// Numbers are rounded, yet the formulas can be checked by hand: operands are written with as many
// digits as they need to give the result that is shown.

import { range, sum } from "./network_maths.js";

// Significant digits of a result, and those of a float64.
const DIGITS = 4, ALL_DIGITS = 17;

// How each activation is written, of its sum; its slope is written of its value, a ReLU's is its value.
const CURVES = {
  sigmoid: { of: (h) => `1 / (1 + e<sup>−${h}</sup>)`, slopeOf: (a) => `${a} · (1 − ${a})`, slope: (a) => a * (1 - a) },
  tanh: { of: (h) => `tanh ${h}`, slopeOf: (a) => `(1 − ${a}²)`, slope: (a) => 1 - a * a },
  relu: { of: (h) => `max(0, ${h})`, slopeOf: (a) => a, slope: (a) => a },
  identity: { of: (h) => h, slopeOf: () => "1", slope: () => 1 },
  step: { of: (h) => `1 if ${h} > 0, else 0`, slopeOf: () => "0", slope: () => 0 },
};

const rounded = (value, digits) => Number(value.toPrecision(digits));

// 0.00059 as 5.9·10⁻⁴.
export function powerOfTen(value, digits) {
  const [mantissa, exponent] = value.toExponential(digits).split("e");
  const raised = [...exponent.replace("+", "")].map((c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c])).join("");
  return `${Number(mantissa)}·10${raised}`.replace("-", "−");
}

// A number with so many significant digits; `bracket` puts negative ones and powers in brackets.
export function number(value, digits = DIGITS, bracket = false) {
  if (!Number.isFinite(value)) return "beyond all numbers";
  const short = rounded(value, digits), size = Math.abs(short);
  const power = size !== 0 && (size < 1e-4 || size >= 10 ** digits);
  const text = power ? powerOfTen(short, digits - 1) : String(short + 0).replace("-", "−");
  return bracket && (short < 0 || power) ? `(${text})` : text;
}

// The digits that operands need to give `result` to `digits` digits when rounded.
function digitsFor(operands, compute, result, digits) {
  for (let enough = digits; enough < ALL_DIGITS; enough++) {
    const again = compute(...operands.map((v) => rounded(v, enough)));
    if (rounded(again, digits) === rounded(result, digits)) return enough;
  }
  return ALL_DIGITS;
}

// The digits that show that a number has moved, and roughly how far.
function digitsApart(before, after) {
  if (before === after) return DIGITS;
  const magnitude = Math.floor(Math.log10(Math.max(Math.abs(before), Math.abs(after))));
  const digits = Math.ceil(magnitude + 2 - Math.log10(Math.abs(after - before)));
  return Math.min(Math.max(DIGITS, digits), ALL_DIGITS);
}

// A formula: what it says, its symbols, the formula of the operands and its result. `operands` are
// as written in it, to be written alike in the drawing.
function worked(says, symbols, operands, compute, write, result, digits = DIGITS) {
  const enough = digitsFor(operands, compute, result, digits);
  const formula = write(...operands.map((v) => number(v, enough, true)));
  const equals = rounded(result, digits) === result ? "=" : "≈";
  return {
    says, symbols, formula, equals, result: number(result, digits),
    operands: operands.map((v) => number(v, enough)),
  };
}

// v0 · v1 + v2 · v3 + ...; a last operand without a partner is added as it is.
function sumOfProducts(says, symbols, operands, result) {
  const pairs = (v) => range(Math.ceil(v.length / 2)).map((i) => v.slice(2 * i, 2 * i + 2));
  const compute = (...v) => sum(pairs(v).map(([a, b = 1]) => a * b));
  return worked(says, symbols, operands, compute, (...v) => pairs(v).map((p) => p.join(" · ")).join(" + "), result);
}

const interleaved = (a, b) => [...a].flatMap((v, i) => [v, b[i]]);

// The formulas of each stage for one weight, from a step of learning (Network.step); `after` is the
// answer after it.
export function stages({ network, step, p, weight, names, kinds, rate, answerAfter }) {
  const { layer, from, to } = weight, last = layer === network.layers.length - 1;
  const unit = names[layer + 1][to], kind = kinds[layer];
  const h = step.sums[layer][to], a = step.values[layer + 1][to], delta = step.deltas[layer][to];
  const into = range(network.sizes[layer]).map((k) => p[network.weight(layer, k, to)]);
  const bias = network.bias ? [p[network.biasStarts[layer] + to]] : [];
  const of = (symbol) => `${symbol}<sub>${unit}</sub>`;
  const by = (symbol) => `∂L/∂${symbol}`;

  const forward = [
    sumOfProducts(`Unit ${unit} multiplies its inputs by their weights and adds up:`, [of("h")],
      [...interleaved(step.values[layer], into), ...bias], h),
    worked("Its activation function bends the sum:", [of("a")], [h], (v) => network.curves[layer].apply(v),
      CURVES[kind].of, a),
  ];

  const { error: e, answer: y, target: t } = step;
  const loss = [
    worked("The error is the distance from the answer y to the target t:", ["e", "t − y"], [t, y],
      (u, v) => u - v, (u, v) => `${u} − ${v}`, e),
    worked("The loss is half its square, so that big misses count more:", ["L", "½ e²"], [e],
      (v) => v ** 2 / 2, (v) => `½ · ${v}²`, step.loss),
    {
      says: "The error curve shows the mean squared error, twice the mean loss of an epoch.", symbols: ["MSE"],
      formula: "mean of e²", equals: "=", result: "2 · mean of L", operands: [],
    },
  ];

  const passed = step.passedBack[layer][to];
  const comesBack = last
    ? worked("The loss changes with the answer by minus the error:", [by("y"), "−e"], [e], (v) => -v, (v) => `−${v}`, passed)
    : sumOfProducts(`The deltas of the next layer come back to unit ${unit} through its weights:`, [by(of("a"))],
      interleaved(step.deltas[layer + 1], step.deltas[layer + 1].map((_, j) => p[network.weight(layer + 1, to, j)])), passed);
  const gradient = step.gradients[network.list.indexOf(weight)];
  const name = from === null ? "b" : "w";
  const slope = CURVES[kind];
  const backward = [
    comesBack,
    worked("Times the slope of its curve, that is the unit's delta:", [of("δ"), by(of("h"))],
      [passed, kind === "relu" ? Number(h > 0) : a], (u, v) => u * slope.slope(v), (u, v) => `${u} · ${slope.slopeOf(v)}`, delta),
    from === null
      ? worked("The bias's gradient is the delta:", [by("b")], [delta], (v) => v, (v) => v, delta)
      : sumOfProducts("The weight's gradient is what came in along it, times the delta:",
        [by("w"), `a<sub>${names[layer][from]}</sub> · ${of("δ")}`], [step.values[layer][from], delta], gradient),
  ];

  const index = network.list.indexOf(weight), before = p[index], after = step.after[index];
  const moved = digitsApart(y, answerAfter);
  const update = [
    worked(`The ${from === null ? "bias" : "weight"} takes a step against its gradient, as long as the learning rate η says:`,
      [`${name}<sub>new</sub>`, `${name} − η · ${by(name)}`], [before, rate, gradient],
      (u, r, g) => u - r * g, (u, r, g) => `${u} − ${r} · ${g}`, after, digitsApart(before, after)),
    {
      says: "All weights take their steps at once, and the answer to this example moves:", symbols: ["y"],
      formula: number(y, moved), equals: "→", result: number(answerAfter, moved), operands: [],
    },
  ];
  return [forward, loss, backward, update];
}

export const html = ({ symbols, formula, equals, result }) =>
  `${[...symbols, formula].join(" = ")} ${equals} <b>${result}</b>`;
