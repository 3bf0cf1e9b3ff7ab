// The arithmetic that follows the hand, as in genrekit's teaching and mel rooms, which are the
// judges: tests/e2e/test_arithmetic.py compares a thousand random inputs.

// -- the neuron -----------------------------------------------------------------------------------

export const ACTIVATIONS = {
  sigmoid: (h) => 1 / (1 + Math.exp(-h)),
  tanh: Math.tanh,
  relu: (h) => Math.max(0, h),
  identity: (h) => h,
  step: (h) => (h > 0 ? 1 : 0),
};

// A neuron of inputs and weights with two decimals: its sum is 0 where 0.1 + 0.2 - 0.3 is not.
export function neuron(inputs, weights, bias, activation) {
  const products = inputs.map((x, i) => x * weights[i]);
  const sum = Math.round((products.reduce((a, b) => a + b, 0) + bias) * 1e6) / 1e6 + 0;
  return { products, sum, answer: ACTIVATIONS[activation](sum) };
}

// -- the mel scale --------------------------------------------------------------------------------

const KNEE_HZ = 1000, KNEE_MEL = 15, LOG_STEP = Math.log(6.4) / 27;
const NOTES = ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"];

export const hzToMel = {
  htk: (f) => 2595 * Math.log10(1 + f / 700),
  slaney: (f) => (Math.min(f, KNEE_HZ) * 3) / 200 + Math.log(Math.max(f, KNEE_HZ) / KNEE_HZ) / LOG_STEP,
};

export const melToHz = {
  htk: (m) => 700 * (10 ** (m / 2595) - 1),
  slaney: (m) => ((Math.min(m, KNEE_MEL) * 200) / 3) * Math.exp(LOG_STEP * Math.max(m - KNEE_MEL, 0)),
};

// The nearest note's name and the distance above it in cents, of a frequency above 0 Hz.
export function nearestNote(f) {
  const midi = 69 + 12 * Math.log2(f / 440), nearest = Math.round(midi), octave = Math.floor(nearest / 12);
  return { name: NOTES[nearest - 12 * octave] + (octave - 1), cents: 100 * (midi - nearest) };
}
