// The film of a network that learns: its controls, and the clock that turns its pages.
//
// The core makes the run and this plays it. Whatever is drawn is computed here from the weights of
// the moment (network_maths.js), at every picture; the server is asked only for more film, and told
// what a visitor has changed once it is let go.

import { AnswerMap, SIZE } from "./answer_map.js";
import { ErrorCurve } from "./error_curve.js";
import { mounted, parts } from "./exhibit.js";
import { Film, unpack } from "./film.js";
import { html, number, powerOfTen, stages } from "./formulas.js";
import { Network, nearestTarget, range, truth } from "./network_maths.js";
import { NetworkPicture } from "./network_picture.js";

const HEIGHT = 290, CURVE = 112, PHONE = 560;
// Milliseconds between two changes of figures while the film plays.
const WORDS_EVERY = 100;
// An answer that is off by less is called right.
const CLOSE = 0.05;
const TOO_LARGE = "The network's numbers have grown beyond what a computer can hold.";
const SIGNS = { sum: "+", product: "×", difference: "−" };
// A visitor comes back from another page to the film as it was.
let film = null;
// What the server has been asked and has not answered, by its kind: two requests in a row may reach
// it as one. Each has a number.
let pending = {}, asks = Date.now();

class View {
  constructor(root) {
    this.root = root;
    this.part = parts(root);
    this.stages = root.querySelectorAll("[data-stage]");
    this.selects = root.querySelectorAll("[data-view]");
    this.calm = window.matchMedia("(prefers-reduced-motion: reduce)");
    this.playing = false;
    this.direction = 1;
    this.pictures = 0;
    this.last = {};
    this.sent = {};
    this.edit = null; // a weight's new value until the next take has it
    this.awaited = null; // where a step leads, once there is film
    const end = () => this.release();
    this.picture = new NetworkPicture(this.part.network, this.part.units, {
      select: (i) => { this.view.bp_weight = this.head.choices.bp_weight[i]; this.build(); },
      value: (i) => this.parameters[i],
      weight: (i, value) => this.change(i, value),
      asked: (i) => this.question[i],
      question: (i, value) => this.ask({ [i]: value }),
      hover: (what) => { this.hovered = what; this.draw(); },
      end,
    });
    this.curve = new ErrorCurve(this.part.curve, (position) => this.seek(position), () => this.settle());
    this.map = new AnswerMap(this.part.over, this.part.map, (question) => this.ask(question), end);
    this.listen();
    this.watcher = new ResizeObserver(() => film?.moments.length && this.build());
    this.watcher.observe(this.part.view);
  }

  get head() { return film.head; }
  get view() { return film.head.view; }
  get question() { return range(this.head.sizes[0]).map((i) => Number(this.view[`bp_q${i + 1}`])); }
  get selected() { return Math.max(0, this.head.choices.bp_weight.indexOf(this.view.bp_weight)); }
  get slow() { return this.view.bp_speed === "slow motion"; }

  // The weights of the moment, with the one in the visitor's hand.
  get parameters() {
    const { p } = film.moment;
    return this.edit ? Object.assign([...p], { [this.edit.weight]: this.edit.value }) : p;
  }

  listen() {
    const { train, rewind, back, example, epoch, reset, scrub, experiment, slide, value } = this.part;
    train.onclick = () => (this.playing ? this.pause() : this.play(1));
    rewind.onclick = () => this.play(-1);
    back.onclick = () => this.go(film.moments[Math.max(0, film.index() - 1)].seen);
    example.onclick = () => {
      const { count, batch } = this.head, { seen } = film.moment;
      this.step(seen + Math.min(batch, count - (seen % count)), 1);
    };
    epoch.onclick = () => {
      const { count } = this.head;
      // A stretch from here has the end of the epoch in it.
      this.step((Math.floor(film.moment.seen / count) + 1) * count, Math.ceil(count / 100));
    };
    reset.onclick = () => (this.head.changed ? this.request("reset", true) : this.go(0));
    scrub.oninput = () => this.seek(Number(scrub.value));
    scrub.onchange = () => this.settle();
    experiment.onchange = () => {
      this.request("experiment", Number(experiment.value));
      experiment.value = "";
    };
    for (const select of this.selects) select.onchange = () => this.choose(select.dataset.view, select.value);
    for (const button of this.stages) {
      button.onclick = () => { this.playing = false; this.choose("bp_stage", button.textContent); };
    }
    slide.oninput = () => this.change(this.selected, Number(slide.value));
    slide.onchange = () => this.release();
    value.onchange = () => {
      const typed = Number(value.value.replace(",", "."));
      if (value.value.trim() === "" || !Number.isFinite(typed)) return;
      this.change(this.selected, typed);
      this.release();
    };
  }

  rest() {
    this.playing = false;
    this.watcher.disconnect();
  }

  // -- to and from the server --------------------------------------------------------------

  receive(bytes) {
    const { head, numbers } = unpack(bytes);
    if (film?.run !== head.run) [film, pending] = [new Film(head.run), {}];
    for (const [ask, last] of Object.entries(head.answered)) if (pending[ask]?.[0] <= last) delete pending[ask];
    // What the visitor has chosen since the server last spoke stays chosen.
    const view = film.head ? { ...film.head.view } : {};
    for (const [key, value] of Object.entries(head.view)) {
      const known = this.last[key] === value || this.sent[key] === value;
      if (!(key in view) || !known) view[key] = value;
      this.last[key] = value;
    }
    for (const key of Object.keys(view)) if (!(key in head.view)) delete view[key];
    for (const [key, options] of Object.entries(head.choices)) if (!options.includes(view[key])) view[key] = options[0];
    head.view = view;
    const cut = film.receive(head, numbers);
    if (cut) {
      this.edit = this.awaited = null;
      this.most = film.position;
      if (head.play) [this.playing, this.direction] = [true, 1];
    }
    this.watcher.observe(this.part.view);
    if (film.moments.length) this.build();
    if (this.awaited) this.step(...this.awaited);
    if (film.moments.length && head.wanted !== head.rate && this.wanted !== `${head.take} ${head.wanted}`) {
      this.wanted = `${head.take} ${head.wanted}`;
      this.cut({ rate: head.wanted });
    }
    if (film.moments.length && !this.playing && head.shown !== film.moment.seen) this.settle();
    this.part.view.inert = false;
    this.run();
  }

  request(ask, value) {
    pending[ask] = [++asks, value];
    this.send("ask", pending);
  }

  cut(change) { this.request("cut", { seen: film.moment.seen, ...change }); }
  more(wanted) { if (wanted) this.request("more", wanted); }

  // Tell the server what is chosen, which it keeps in the address.
  tell() {
    this.sent = { ...this.view };
    this.request("view", this.sent);
  }

  choose(key, value) {
    this.view[key] = value;
    if (key === "bp_stage") film.position = film.moment.seen + (Number(value[0]) - 1) / 4;
    else if (key === "bp_speed") film.position = film.moment.seen;
    this.build();
    this.tell();
    this.run();
  }

  // Questions by the place of their input, with two decimals.
  ask(question) {
    for (const [i, value] of Object.entries(question)) this.view[`bp_q${Number(i) + 1}`] = String(Math.round(value * 100) / 100);
    this.draw();
  }

  change(weight, value) {
    this.edit = { weight, value };
    this.draw();
  }

  // What was held is let go.
  release() {
    this.tell();
    if (this.edit) this.cut(this.edit);
  }

  // -- the clock ---------------------------------------------------------------------------

  play(direction) {
    if (film.finished && direction > 0) film.position = 0;
    this.playing = true;
    this.direction = direction;
    this.run();
  }

  pause() {
    this.playing = false;
    if (film?.moment) this.draw();
    this.settle();
  }

  // The panels below follow a film that has come to rest.
  settle() { if (film?.head.follow && film.moment) this.request("moment", film.moment.seen); }

  seek(position) {
    this.playing = false;
    if (position > film.end && !film.whole) this.more(film.ask(film.end, 0));
    film.position = Math.min(Math.max(0, position), film.end);
    this.draw();
  }

  go(position) {
    this.seek(position);
    this.settle();
  }

  // To a moment ahead: at once if it is in the film, else as soon as it is.
  step(seen, grain) {
    this.playing = false;
    const there = film.moments[film.index(seen)].seen === seen || seen > film.last;
    this.awaited = there ? null : [seen, grain];
    if (there) this.go(seen);
    else this.more(film.ask(film.moment.seen, grain));
  }

  // Turn the page once for each picture of the screen.
  run() {
    this.more(this.playing || !film.moments.length ? film.wants() : null);
    if (this.ticking || !this.playing) return;
    this.ticking = true;
    let before = performance.now();
    const tick = (now) => {
      this.ticking = false;
      if (!this.playing || !this.part.view.isConnected) return;
      const seconds = this.direction * Math.min(0.1, Math.max(0, now - before) / 1000);
      const done = !this.edit && film.moments.length && film.play(seconds);
      before = now;
      this.more(film.wants());
      if (done) this.pause();
      else if (!this.calm.matches || now - this.written > 500) this.draw(now - this.written > WORDS_EVERY);
      this.ticking = this.playing;
      if (this.playing) requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  // -- drawing -----------------------------------------------------------------------------

  build() {
    const { head } = this, { sizes } = head;
    const width = this.part.view.clientWidth, part = this.part.drawing.clientWidth;
    if (!part) return;
    this.network = new Network(sizes, head.kinds, head.bias);
    const shape = JSON.stringify([part, sizes, head.kinds, head.bias, head.low, head.high]);
    if (shape !== this.shape) {
      this.shape = shape;
      this.picture.build(head, this.network, Math.max(280, part), width < PHONE ? 250 : HEIGHT);
      this.planes = null;
    }
    this.fill();
    this.flat = sizes[0] === 2;
    this.part.plane.hidden = !this.flat;
    if (this.flat) {
      this.map.build(head, film.examples?.map((one) => one[1]) ?? [0, 1]);
      const [low, high] = this.map.legend();
      this.part.low.textContent = `${this.view.bp_map} ${low}`;
      this.part.high.textContent = this.view.bp_map === "error" ? `${high} and more` : high;
    }
    this.curve.build(film, Math.max(200, this.part.curve.clientWidth), CURVE);
    this.draw();
  }

  // The options of the controls, and the boxes of the question.
  fill() {
    const { choices, experiments } = this.head;
    for (const select of this.selects) {
      const options = choices[select.dataset.view];
      if (select.dataset.options !== options.join()) {
        select.dataset.options = options.join();
        select.replaceChildren(...options.map((name) => new Option(select.dataset.view === "bp_reach" ? `${Number(name)}×` : name, name)));
      }
      select.value = this.view[select.dataset.view];
    }
    const experiment = this.part.experiment;
    if (!experiment.length) {
      experiment.replaceChildren(new Option("Experiments…", ""), ...experiments.map((title, i) => new Option(title, i)));
    }
    this.part.told.textContent = this.head.told;
    this.part.slow.hidden = !this.slow;
    const names = this.head.names[0], boxes = this.part.question;
    if (boxes.dataset.names !== names.join()) {
      boxes.dataset.names = names.join();
      boxes.replaceChildren(...names.map((name, i) => {
        const label = document.createElement("label"), box = document.createElement("input");
        Object.assign(box, { type: "number", step: "0.05", min: -1000, max: 1000 });
        box.setAttribute("aria-label", `Ask it: ${name}`);
        box.oninput = () => {
          const value = Number(box.value);
          if (box.value.trim() !== "" && Math.abs(value) <= 1000) this.ask({ [i]: value });
        };
        box.onchange = () => this.tell();
        label.append(`${i ? "" : "Ask it: "}${name} `, box);
        return label;
      }));
    }
  }

  // Figures that change with each picture cannot be read: those of a film that plays come less often.
  draw(words = true) {
    const { head, network } = this, { moment } = film;
    if (!moment || !network || network.parameters !== moment.p.length) return;
    const p = this.parameters, question = this.question;
    const pass = network.forward(p, question);
    this.most = Math.max(this.most ?? 0, film.position);
    if (this.flat) {
      this.planes = network.plane(p, this.map.axis, this.planes);
      const off = this.map.draw(this.planes[this.planes.length - 1], question);
      if (words) this.drawOff(off);
    }
    const slow = this.slow ? this.rehearse(p, question) : null;
    const gradients = head.view.bp_lines === "gradients";
    const step = slow?.step ?? network.step(p, question, this.target(question), head.rate);
    this.picture.draw({
      values: (slow?.values ?? pass.values).flat(), lines: gradients ? step.gradients : p, gradients, words,
      selected: this.selected, written: slow?.written, planes: this.flat && this.planes, size: SIZE,
    });
    this.picture.pulse(slow ? slow.stage : 1, slow && !this.calm.matches ? slow.part : 0);
    this.curve.draw(film.position, this.most);
    this.part.scrub.value = film.position;
    if (words) {
      this.written = performance.now();
      this.drawAnswer(pass.answer, question);
      this.drawControls(moment, p, step);
    }
    this.pictures += 1;
    // Read by tests.
    Object.assign(this.part.view.dataset, {
      pictures: this.pictures, seen: moment.seen, position: film.position, end: film.end, whole: film.whole,
      playing: this.playing, take: film.take, answer: pass.answer, error: moment.error,
    });
  }

  target(question) {
    const right = truth(this.head.task, question, this.middle);
    return right ?? nearestTarget(film.examples ?? [], question);
  }

  get middle() { return (Math.min(...this.head.low) + Math.max(...this.head.high)) / 2; }

  // One example in slow motion: its step, the stage, and what is written at lines and units.
  rehearse(p, question) {
    const { head, network } = this, { count } = head;
    const place = Math.floor(film.position) === film.moment.seen ? film.position : film.moment.seen;
    const [x, t] = this.view.bp_ex === "my question" ? [question, this.target(question)]
      : film.examples?.[film.moment.seen % count] ?? [question, 0];
    const step = network.step(p, x, t, head.rate);
    if (![step.loss, ...step.after].every(Number.isFinite)) {
      this.part.formulas.textContent = this.drawnFormulas = TOO_LARGE;
      return null;
    }
    const phase = (place % 1) * 4, stage = Math.floor(phase), weight = network.list[this.selected];
    const answerAfter = network.forward(step.after, x).answer;
    const shown = stages({ network, step, p, weight, names: head.names, kinds: head.kinds, rate: head.rate, answerAfter })[stage];
    const written = { lines: {}, units: {} };
    const first = network.sizes.slice(0, weight.layer).reduce((a, b) => a + b, 0);
    const to = first + network.sizes[weight.layer] + weight.to;
    if (stage === 0) {
      // Beside each line into the unit stands its part of the sum, in the digits of the formula.
      range(network.sizes[weight.layer]).forEach((k) => {
        const [a, w] = shown[0].operands.slice(2 * k, 2 * k + 2);
        written.units[first + k] = a;
        written.lines[network.weight(weight.layer, k, weight.to)] = `${a} · ${w}`;
      });
      written.units[to] = shown[1].result;
    } else if (stage === 1) written.units[head.sizes.reduce((a, b) => a + b, 0) - 1] = shown[0].operands[1];
    else if (weight.from !== null) {
      written.lines[this.selected] = stage === 2 ? shown[2].operands.join(" · ") : shown[0].formula;
      if (stage === 2) written.units[to] = `δ ${shown[1].result}`;
    }
    const drawn = JSON.stringify([shown, x, t]);
    if (drawn !== this.drawnFormulas) {
      this.drawnFormulas = drawn;
      const example = x.map((v, i) => `${head.names[0][i]} = ${number(v)}`).join(", ");
      const lines = shown.map((one) => `<p>${one.says}<span>${html(one)}</span></p>`);
      const batch = head.batch > 1 ? "<p>In a batch, the gradients of all its examples are averaged.</p>" : "";
      this.part.formulas.innerHTML = `<p>Example: ${example}; target t = ${number(t)}</p>${lines.join("")}${batch}`;
      this.stages.forEach((button, i) => button.setAttribute("aria-pressed", i === stage));
    }
    return { step, stage, part: phase % 1, values: step.values, written };
  }

  drawOff(off) {
    if (this.head.task === "own") return;
    this.put("off", Number.isFinite(off.all) ? `Off by ${number(off.inside, 2)} in the square, ${number(off.all, 2)} in all.` : TOO_LARGE);
  }

  drawAnswer(answer, question) {
    if (!Number.isFinite(answer)) return this.put("answer", `It has no answer. ${TOO_LARGE}`);
    const right = truth(this.head.task, question, this.middle);
    const four = (v) => v.toFixed(4).replace("-", "−");
    const parts = [`It answers <b>${Math.abs(answer) < 1e6 ? four(answer) : powerOfTen(answer, 1)}</b>`];
    if (right !== null) {
      // The difference of the two numbers as they are shown.
      const off = Math.round(answer * 1e4) / 1e4 - Math.round(right * 1e4) / 1e4;
      const size = Math.abs(off) < 1e6 ? four(Math.abs(off)) : powerOfTen(Math.abs(off), 1);
      parts.push(`, and ${four(right)} is right: ${Math.abs(off) < 5e-5 ? "exactly" : `<b>${size}</b> too ${off > 0 ? "high" : "low"}`}`);
    }
    const outside = question.some((v, i) => v < this.head.low[i] || v > this.head.high[i]);
    const [low, high] = [Math.min(...this.head.low), Math.max(...this.head.high)];
    const warning = outside ? `<p class="warn">This question lies outside what it was trained on (${number(low)} to ${number(high)}): it is guessing.</p>` : "";
    return this.put("answer", `${parts.join("")}.${warning}`);
  }

  // Set what has changed only: a screen reader is told of no more.
  put(name, text) {
    this.before ??= {};
    if (this.before[name] === text) return;
    this.before[name] = text;
    this.part[name].innerHTML = text;
  }

  drawControls(moment, p, step) {
    const { head } = this, { position } = film, scrub = this.part.scrub;
    const label = this.playing ? "Pause" : film.finished ? "Replay" : position > 0 ? "Continue" : "Train";
    if (this.part.train.textContent !== label) this.part.train.textContent = label;
    scrub.max = film.last;
    scrub.step = Math.max(1, Math.round(film.last / 500));
    scrub.value = position;
    this.part.back.disabled = this.part.rewind.disabled = position <= 0;
    this.part.example.disabled = this.part.epoch.disabled = film.finished;
    const epoch = moment.seen / head.count;
    const error = Number.isFinite(moment.error) ? `${epoch % 1 ? "error of this epoch so far" : "error"} ${number(moment.error)}` : "error not measured yet";
    const examples = `${moment.seen.toLocaleString("en-GB")} ${moment.seen === 1 ? "example" : "examples"}`;
    const place = `${examples}, epoch ${epoch.toFixed(epoch % 1 ? 2 : 0)} of ${head.epochs}, ${error}`;
    this.part.place.textContent = place;
    scrub.setAttribute("aria-valuetext", place);
    const focus = this.root.getRootNode().activeElement;
    [...this.part.question.querySelectorAll("input")].forEach((box, i) => {
      if (box !== focus) box.value = this.question[i];
    });
    this.drawEditor(p, step);
    this.put("findings", film.found.map(([message, remedy]) => `<p>${message} <b>${remedy}</b></p>`).join(""));
    this.drawGuess();
  }

  drawEditor(p, step) {
    const { selected, head } = this, slider = this.part.slide, box = this.part.value;
    const focus = this.root.getRootNode().activeElement, name = head.choices.bp_weight[selected];
    slider.value = p[selected];
    if (focus !== box) box.value = p[selected].toFixed(4);
    slider.setAttribute("aria-label", `Value of ${name}`);
    const at = this.hovered, read = (v) => number(v, 4);
    if (at?.layer === undefined) {
      const i = at ?? selected;
      this.part.readout.textContent = `${head.choices.bp_weight[i]}: weight ${read(p[i])}, gradient ${read(step.gradients[i])}`;
      return;
    }
    const parts = [`${at.name}: gives ${read(step.values[at.layer][at.unit])}`];
    if (at.layer) {
      parts.push(`delta ${read(step.deltas[at.layer - 1][at.unit])}`);
      if (head.bias) parts.push(`bias ${read(p[this.network.biasStarts[at.layer - 1] + at.unit])}`);
    }
    this.part.readout.textContent = parts.join(", ");
  }

  // -- predict, then see -------------------------------------------------------------------

  drawGuess() {
    const { head } = this, far = Math.max(...head.high) + 0.8 * (Math.max(...head.high) - Math.min(...head.low));
    if (!this.flat || head.task === "own" || this.slow) return this.put("guess", "");
    const asked = `${number(far)} ${SIGNS[head.task] ?? "and"} ${number(far)}`;
    if (film.guess === null) {
      if (film.position > 0) return this.put("guess", "");
      this.put("guess", `<span>Trained on ${number(Math.min(...head.low))} to ${number(Math.max(...head.high))}, will it get ${asked} right?</span>
        <span class="bar"><button data-guess="yes">Yes</button><button data-guess="no">No</button></span>`);
    } else if (!film.finished) this.put("guess", `<span>You guessed that it will get ${asked} ${film.guess ? "right" : "wrong"}.</span>`);
    else {
      const { answer } = this.network.forward(this.parameters, [far, far]), right = truth(head.task, [far, far], this.middle);
      const off = Math.abs(answer - right), good = off < CLOSE;
      this.put("guess", `<span>${asked}: it answers ${number(answer)}, and ${number(right)} is right, so it is off by ${number(off, 2)}.
        ${good === film.guess ? "You guessed it." : `You guessed that it would be ${film.guess ? "right" : "wrong"}.`}</span>
        <button data-guess="ask">Ask it</button>`);
    }
    for (const button of this.part.guess.querySelectorAll("button")) {
      button.onclick = () => {
        if (button.dataset.guess === "ask") { this.ask([far, far]); this.tell(); }
        else { film.guess = button.dataset.guess === "yes"; this.draw(); }
      };
    }
  }
}

export default mounted(View);
