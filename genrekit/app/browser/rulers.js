// One tone on two rulers, in hertz and in mel, and a calculator; or the steps of an ear test there.
// The tone sounds while it is held.

import { hzToMel, melToHz, nearestNote } from "./arithmetic.js";
import { figure, make } from "./drawing.js";
import { Exhibit, mounted } from "./exhibit.js";

const HZ_Y = 70, MEL_Y = 166, EDGE = 15;
const TOPS = [8000, 20000, 96000];
const SEMITONE = 2 ** (1 / 12);
// 18 dB below full level, where a pure tone at the volume of music is no shock; hardly anyone hears more.
const LEVEL = 0.125, AUDIBLE = [20, 18000], FADE = 0.03, SECONDS = 1.2;
const round = (value, digits) => Number(value.toFixed(digits));

class View extends Exhibit {
  constructor(root) {
    super(root);
    this.picture = this.part.rulers;
    this.formulas = [...root.querySelectorAll("[name=formula]")];
    const { hzSlider, melSlider, hz, htk, slaney, play } = this.part;
    this.slide(hzSlider, () => round(Number(hzSlider.value), 2));
    this.slide(melSlider, () => round(melToHz[this.values.formula](Number(melSlider.value)), 2));
    this.type(hz, (value) => round(value, 4));
    this.type(htk, (value) => round(melToHz.htk(value), 4));
    this.type(slaney, (value) => round(melToHz.slaney(value), 4));
    play.onclick = () => { this.sound(); this.later = setTimeout(() => this.hush(), 1000 * SECONDS); };
    for (const one of this.formulas) one.onchange = () => this.change({ formula: one.value });
  }

  rest() {
    super.rest();
    this.hush();
  }

  // -- what the hand does -----------------------------------------------------------------------

  slide(slider, read) {
    slider.oninput = () => { this.hold({ hz: read() }); this.sound(); };
    slider.onchange = () => { this.hush(); this.release(); };
    slider.onkeydown = (event) => {
      const up = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
      if (!up) return;
      event.preventDefault();
      this.hold({ hz: round(Math.min(this.top, Math.max(20, this.values.hz * SEMITONE ** up)), 2) });
      this.part.play.click();
      this.release();
    };
  }

  type(box, read) {
    const typed = () => box.value !== "" && Number.isFinite(Number(box.value)) && read(Math.max(0, Number(box.value)));
    box.oninput = () => typed() !== false && this.hold({ hz: Math.min(TOPS.at(-1), typed()) });
    box.onchange = () => this.release();
  }

  // -- the tone ---------------------------------------------------------------------------------

  sound() {
    clearTimeout(this.later);
    const { hz } = this.values;
    if (hz < AUDIBLE[0] || hz > AUDIBLE[1]) return this.hush();
    if (!this.tone) {
      const context = (this.context ??= new AudioContext()), tone = context.createOscillator(), gain = context.createGain();
      context.resume();
      tone.connect(gain).connect(context.destination);
      tone.frequency.value = hz;
      gain.gain.setValueAtTime(0, context.currentTime);
      gain.gain.setTargetAtTime(LEVEL, context.currentTime, FADE);
      tone.start();
      this.tone = { tone, gain };
    }
    this.tone.tone.frequency.setTargetAtTime(hz, this.context.currentTime, FADE / 3);
  }

  hush() {
    if (!this.tone) return;
    const { tone, gain } = this.tone, now = this.context.currentTime;
    gain.gain.cancelScheduledValues(now);
    gain.gain.setTargetAtTime(0, now, FADE);
    tone.stop(now + 10 * FADE);
    this.tone = null;
  }

  // -- the picture ------------------------------------------------------------------------------

  compute() {
    const { hz, formula } = this.values, mel = hzToMel[formula](hz);
    const note = hz ? nearestNote(hz) : { name: "", cents: 0 };
    return { htk: hzToMel.htk(hz), slaney: hzToMel.slaney(hz), ...note, worth: melToHz[formula](mel + 1) - hz };
  }

  draw(result = this.compute()) {
    this.result = result;
    this.part.view.classList.toggle("marks", Boolean(this.data.marks));
    const { hz, formula } = this.values, { note, worth } = this.part;
    for (const [name, value] of [["hz", hz], ["htk", round(result.htk, 2)], ["slaney", round(result.slaney, 3)]]) {
      const box = this.part[name];
      if (!this.held || box !== box.getRootNode().activeElement) box.value = value;
    }
    for (const one of this.formulas) one.checked = one.value === formula;
    const cents = Math.round(result.cents), sign = cents > 0 ? "+" : "−";
    const offset = cents ? ` ${sign} ${Math.abs(cents)} ${Math.abs(cents) === 1 ? "cent" : "cents"}` : "";
    note.textContent = result.name ? `${result.name}${offset}.` : "No pitch.";
    worth.textContent = `Here, one mel (${formula === "htk" ? "HTK" : "Slaney"}) is worth ${figure(result.worth, 3)} Hz.`;
    this.part.formulas.innerHTML = formulas(hz, result).map((line) => `<div>${line}</div>`).join("");
    // While the hand is on a ruler, it keeps its length.
    const top = TOPS.find((one) => hz <= one);
    if (!this.held || !this.top || top > this.top) this.top = top;
    this.drawRulers();
  }

  drawRulers() {
    const { rulers, hzSlider, melSlider } = this.part, { hz, formula } = this.values, { marks } = this.data;
    const width = rulers.clientWidth - 2 * EDGE, topMel = hzToMel[formula](this.top);
    const atHz = (f) => EDGE + (width * f) / this.top, atMel = (m) => EDGE + (width * m) / topMel;
    const atMelOf = (f) => atMel(hzToMel[formula](f));
    [hzSlider.max, melSlider.max, hzSlider.value] = [this.top, topMel, hz];
    melSlider.value = hzToMel[formula](hz);
    const mels = steps(topMel, width), lines = mels.map((m) =>
      make("path", { class: "fan", d: `M${atMel(m)} ${MEL_Y}L${atHz(melToHz[formula](m))} ${HZ_Y}` }));
    const bars = Object.entries(marks ?? {}).flatMap(([name, frequencies], i) => [
      ...bar(name, frequencies, atHz, HZ_Y + 14 + 16 * i, this.data.colours[i], "Hz", (f) => f),
      ...bar(name, frequencies, atMelOf, MEL_Y - 30 + 16 * i, this.data.colours[i], "mel", hzToMel[formula]),
    ]);
    const tone = make("path", { d: `M${atHz(hz)} ${HZ_Y}L${atMelOf(hz)} ${MEL_Y}`, style: "stroke: #be8300; stroke-width: 4px" });
    rulers.replaceChildren(
      ...(marks ? bars : [...lines, tone]),
      ...ruler("hertz (Hz)", steps(this.top, width), atHz, width, HZ_Y, -1),
      ...ruler("mel", mels, atMel, width, MEL_Y, 1),
    );
  }
}

// About one number for every 70 px, a round one.
function steps(top, width) {
  const least = (70 * top) / width, ten = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 2.5, 5, 10].map((k) => k * ten).find((size) => size >= least);
  return Array.from({ length: Math.floor(top / step) + 1 }, (_, i) => i * step);
}

// A line with ticks away from the other ruler, down (1) or up (-1).
function ruler(name, numbers, at, width, y, away) {
  const ticks = numbers.map((v) => `M${at(v)} ${y}v${9 * away}`).join("");
  return [
    make("path", { d: `M${EDGE} ${y}h${width}${ticks}`, "stroke-width": 2 }),
    ...numbers.map((v) => make("text", { x: at(v), y: y + (away > 0 ? 27 : -15) }, v.toLocaleString("en"))),
    make("text", { class: "name", x: 0, y: y + (away > 0 ? 54 : -42) }, name),
  ];
}

// The steps of one sound on a ruler, and their size if there is one step only.
function bar(name, frequencies, at, y, colour, unit, measure) {
  const places = frequencies.map(at), [first, last] = [frequencies[0], frequencies.at(-1)].map(measure);
  const size = frequencies.length > 2 ? name : `${name}: ${Math.round(last - first)} ${unit}`;
  const edges = places.map((x) => `M${x} ${y - 7}v14`).join("");
  return [
    make("path", { d: `M${places[0]} ${y}H${places.at(-1)}`, style: `stroke: ${colour}; stroke-width: 7px` }),
    make("path", { d: edges, "stroke-width": 1.5 }),
    make("text", { class: "size", x: places.at(-1) + 8, y: y + 5 }, size),
  ];
}

// Both conversions by both formulas, with the numbers of the moment.
function formulas(hz, { htk, slaney }) {
  const f = figure(hz, 7), m = htk.toFixed(2), s = slaney.toFixed(3), low = hz < 1000;
  return [
    `<b>HTK</b> m = 2595 log<sub>10</sub>(1 + ${f} / 700) = ${m}<br>
     and back f = 700 (10<sup>${m} / 2595</sup> − 1) = ${f}`,
    `<b>Slaney</b> m = ${low ? `3 / 200 × ${f}` : `15 + 27 ln(${f} / 1000) / ln 6.4`} = ${s}<br>
     and back f = ${low ? `200 / 3 × ${s}` : `1000 × 6.4<sup>(${s} − 15) / 27</sup>`} = ${f}`,
  ];
}

export default mounted(View);
