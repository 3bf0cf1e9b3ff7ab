// The arithmetic of genrekit.teaching, as fast as the eye: a pass through the network, one step of
// learning, and the answers over a plane. The core's numbers judge these; a test compares them.
//
// Parameters are one array: weights layer by layer, rows before columns, then biases. What belongs
// to units or weights has the same order.

import { ACTIVATIONS } from "./arithmetic.js";

// The slope of each activation function from the sum h and the value a there.
const SLOPES = {
  sigmoid: (h, a) => (1 - a) * a,
  tanh: (h, a) => 1 - a * a,
  relu: (h) => Number(h > 0),
  identity: () => 1,
  step: () => 0,
};

export const TASKS = {
  sum: (a, b) => a + b,
  product: (a, b) => a * b,
  difference: (a, b) => a - b,
  mean: (a, b) => (a + b) / 2,
  xor: (a, b, middle) => Number((a > middle) !== (b > middle)),
  sine: (a, b) => 0.5 + 0.5 * Math.sin(2 * Math.PI * (a + b)),
};

export const range = (count) => [...Array(count).keys()];
export const sum = (values) => values.reduce((a, b) => a + b, 0);

export class Network {
  // sizes of the layers, inputs first; kinds: the activation of each later layer.
  constructor(sizes, kinds, bias) {
    Object.assign(this, { sizes, bias });
    this.curves = kinds.map((kind) => ({ apply: ACTIVATIONS[kind], slope: SLOPES[kind] }));
    this.layers = range(sizes.length - 1);
    this.weightStarts = this.layers.map((i) => sum(this.layers.slice(0, i).map((j) => sizes[j] * sizes[j + 1])));
    this.weights = sum(this.layers.map((i) => sizes[i] * sizes[i + 1]));
    this.biasStarts = this.layers.map((i) => this.weights + sum(sizes.slice(1, i + 1)));
    this.parameters = this.weights + (bias ? sum(sizes.slice(1)) : 0);
    // Every weight as its layer, the unit it comes from (null for a bias) and the unit it leads to.
    const biases = this.layers.flatMap((layer) => range(sizes[layer + 1]).map((to) => ({ layer, from: null, to })));
    const weights = this.layers.flatMap((layer) => range(sizes[layer]).flatMap((from) =>
      range(sizes[layer + 1]).map((to) => ({ layer, from, to }))));
    this.list = bias ? [...weights, ...biases] : weights;
  }

  weight(layer, from, to) { return this.weightStarts[layer] + from * this.sizes[layer + 1] + to; }

  // The sums h and the values a of every layer; a[0] is the question.
  forward(p, question) {
    const sums = [], values = [question];
    for (const i of this.layers) {
      const before = values[i], width = this.sizes[i + 1], curve = this.curves[i];
      const h = range(width).map((j) => {
        let total = 0;
        for (let k = 0, at = this.weightStarts[i] + j; k < before.length; k++, at += width) total += before[k] * p[at];
        return this.bias ? total + p[this.biasStarts[i] + j] : total;
      });
      sums.push(h);
      values.push(h.map(curve.apply));
    }
    return { sums, values, answer: values[values.length - 1][0] };
  }

  // What learning from one example does: deltas, the gradient of each parameter, and the parameters after.
  step(p, question, target, rate) {
    const pass = this.forward(p, question);
    const error = target - pass.answer, deltas = [], gradients = new Float64Array(this.parameters);
    let back = [-error];
    const passedBack = [];
    for (const i of [...this.layers].reverse()) {
      const before = pass.values[i], width = this.sizes[i + 1];
      passedBack[i] = back;
      const delta = deltas[i] = back.map((d, j) => this.curves[i].slope(pass.sums[i][j], pass.values[i + 1][j]) * d);
      delta.forEach((d, j) => {
        before.forEach((a, k) => { gradients[this.weight(i, k, j)] = a * d; });
        if (this.bias) gradients[this.biasStarts[i] + j] = d;
      });
      back = before.map((_, k) => sum(range(width).map((j) => delta[j] * p[this.weight(i, k, j)])));
    }
    const after = Float64Array.from(gradients, (g, i) => p[i] - rate * g);
    return { ...pass, error, loss: (error * error) / 2, target, deltas, passedBack, gradients, after };
  }

  // The values of every unit but the inputs over a plane: one array for each, rows follow b,
  // columns a. Written into `planes`, which are made when they are not given.
  plane(p, axis, planes) {
    const size = axis.length, units = sum(this.sizes.slice(1));
    planes ??= range(units).map(() => new Float64Array(size * size));
    const columns = axis, row = new Float64Array(size), inputs = [columns, row];
    for (let y = 0; y < size; y++) {
      row.fill(axis[y]);
      let before = inputs, first = 0;
      for (const i of this.layers) {
        const width = this.sizes[i + 1], { apply } = this.curves[i];
        const next = [];
        for (let j = 0; j < width; j++) {
          const out = planes[first + j].subarray(y * size, (y + 1) * size);
          out.fill(this.bias ? p[this.biasStarts[i] + j] : 0);
          for (let k = 0; k < before.length; k++) {
            const w = p[this.weight(i, k, j)], from = before[k];
            for (let x = 0; x < size; x++) out[x] += w * from[x];
          }
          for (let x = 0; x < size; x++) out[x] = apply(out[x]);
          next.push(out);
        }
        before = next;
        first += width;
      }
    }
    return planes;
  }
}

// The right answer; for own numbers, unknown.
export function truth(task, question, middle) {
  return task in TASKS ? TASKS[task](...question, middle) : null;
}

// The target of the example nearest to a question.
export function nearestTarget(examples, question) {
  let best = Infinity, target = NaN;
  examples.forEach(([inputs, t]) => {
    const distance = sum(inputs.map((x, i) => (x - question[i]) ** 2));
    if (distance < best) [best, target] = [distance, t];
  });
  return target;
}

// From half of `reach` ranges below the trained range to `reach` above it.
export function mapAxis(low, high, reach, size) {
  const span = high - low || 1, from = low - 0.5 * reach * span, to = high + reach * span;
  return Float64Array.from(range(size), (i) => from + ((to - from) * i) / (size - 1));
}
