// The microphone, drawn as it is heard; the server judges its last ten seconds about twice a second.
//
// One request is under way at a time and carries what has been heard since the one before, so a slow
// line or a busy server gets fewer requests and not a queue of them.

import { hzToMel, melToHz } from "./arithmetic.js";
import { COLOURS, percent } from "./drawing.js";
import { mounted, parts } from "./exhibit.js";

const SECONDS = 10;
const ASK_MS = 500;
const RETRY_MS = 2000;
const PATIENCE_MS = 20_000;
// The picture: a column for each frame, and bands that are equally wide in mel.
const FRAMES = 60, BANDS = 96, HIGHEST_HZ = 10_000;
const LOUDEST_DB = -25, FAINTEST_DB = -95;

// The microphone as it is: what makes speech clear takes music away.
const AUDIO = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
const LISTENING = "Listening. Sound stays in memory, is judged and forgotten.";
const PROBLEMS = {
  insecure: "Browsers allow the microphone only on pages that start with https:// and on the computer that runs the app. Open this page with https://, or ask your host for it.",
  NotAllowedError: "The browser doesn't allow this page to use the microphone. Allow it beside the address, then start again.",
  NotFoundError: "There is no microphone. Connect one, then start again.",
  NotReadableError: "The microphone doesn't answer; another program may be using it. Close that, then start again.",
  other: "The microphone could not be started. Try again, or try another browser.",
  unplugged: "The microphone is gone. Connect it, then start again.",
  unknown: "The server no longer knows this page. Load it again.",
  lost: "Connection lost. Trying again …",
};

class Live {
  constructor(root) {
    this.part = parts(root);
    this.calm = window.matchMedia("(prefers-reduced-motion: reduce)");
    this.part.button.addEventListener("click", () => (this.run ? this.stop() : this.start()));
    this.clear();
  }

  receive(data) {
    this.data = data;
    this.part.view.inert = false;
  }

  // Called before each message, too.
  rest() { setTimeout(() => this.part.view.isConnected || this.stop()); }

  // -- the microphone -----------------------------------------------------------------------

  async start() {
    const run = (this.run = { pieces: [], length: 0, next: 0 });
    this.say("Waiting for the microphone …");
    this.part.button.textContent = "Stop";
    try {
      if (!navigator.mediaDevices) throw { name: "insecure" };
      run.stream = await navigator.mediaDevices.getUserMedia({ audio: AUDIO });
      run.context = new AudioContext();
      await run.context.audioWorklet.addModule(new URL("./live_worklet.js", import.meta.url));
      await run.context.resume();
    } catch (error) {
      if (this.run === run) this.stop(PROBLEMS[error.name] ?? PROBLEMS.other);
    }
    if (this.run !== run) return release(run); // stopped meanwhile
    const { context } = run;
    run.stream.getAudioTracks()[0].onended = () => this.stop(PROBLEMS.unplugged);
    const microphone = context.createMediaStreamSource(run.stream);
    const mono = { channelCount: 1, channelCountMode: "explicit" };
    run.samples = new AudioWorkletNode(context, "samples", { ...mono, numberOfOutputs: 0 });
    run.samples.port.onmessage = ({ data }) => this.take(run, data);
    run.analyser = new AnalyserNode(context, {
      ...mono, fftSize: 4096, smoothingTimeConstant: 0, minDecibels: FAINTEST_DB, maxDecibels: LOUDEST_DB,
    });
    microphone.connect(run.samples);
    microphone.connect(run.analyser);
    this.say(LISTENING);
    this.clear();
    this.look(run);
  }

  stop(problem) {
    const { run } = this;
    if (!run) return;
    this.run = null;
    release(run);
    this.tell("DELETE", { keepalive: true }).catch(() => {}); // its place is free in any case soon
    this.part.button.textContent = "Start listening";
    this.say(problem ?? "Stopped. Nothing was kept.", problem);
  }

  say(text, alarm = false) {
    const { message } = this.part;
    if (message.textContent !== text) message.textContent = text;
    message.className = alarm ? "alarm" : "";
  }

  // -- the way to the server ------------------------------------------------------------------

  take(run, piece) {
    if (this.run !== run) return;
    run.pieces.push(piece);
    run.length += piece.length;
    while (run.length > SECONDS * run.context.sampleRate) run.length -= run.pieces.shift().length;
    if (performance.now() >= run.next) this.ask(run);
  }

  async ask(run) {
    run.next = Infinity;
    const begun = performance.now(), pieces = run.placed ? run.pieces.splice(0) : [];
    if (run.placed) run.length = 0;
    let wait = RETRY_MS;
    try {
      const answer = await this.tell("POST", {
        body: int16(pieces),
        headers: { "X-Rate": run.context.sampleRate },
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
      const said = answer.status === 403 ? { ended: PROBLEMS.unknown } : await answer.json();
      if (this.run !== run) return;
      run.placed = Boolean(said.title);
      if (run.placed) wait = ASK_MS;
      this.heard(said);
    } catch {
      if (this.run === run) this.say(PROBLEMS.lost, true);
    }
    run.next = Math.max(begun + wait, performance.now());
  }

  // The app's address may begin with a path of its own, before the page's name.
  tell(method, { headers, ...more }) {
    const address = location.pathname.replace(/\/[^/]*\/?$/, "/live");
    return fetch(address, { method, headers: { "X-Listener": this.data.token, ...headers }, ...more });
  }

  heard(said) {
    if (said.ended) this.stop(said.ended);
    else if (said.problem) this.say(said.problem, true);
    else if (said.place) this.say(said.place);
    else {
      this.say(LISTENING);
      this.show(said);
    }
  }

  show({ title, sure, note, odds, said }) {
    for (const [name, text] of Object.entries({ title, sure, note, said })) {
      if (this.part[name].textContent !== text) this.part[name].textContent = text;
    }
    const list = this.part.odds;
    while (list.children.length > odds.length) list.lastChild.remove();
    while (list.children.length < odds.length) list.append(row());
    odds.forEach(([name, p, colour], i) => {
      const [label, bar, figure] = list.children[i].children;
      label.textContent = name;
      figure.textContent = percent(p);
      Object.assign(bar.style, { width: `${100 * p}%`, background: colour });
    });
  }

  // -- the picture ------------------------------------------------------------------------------

  clear() {
    const { picture } = this.part;
    Object.assign(picture, { width: SECONDS * FRAMES, height: BANDS });
    this.pen = picture.getContext("2d");
    this.pen.putImageData(columns(picture.width, []), 0, 0);
  }

  look(run) {
    const { sampleRate } = run.context, bins = new Uint8Array(run.analyser.frequencyBinCount);
    const top = hzToMel.htk(Math.min(HIGHEST_HZ, sampleRate / 2)), width = sampleRate / run.analyser.fftSize;
    const edges = Array.from({ length: BANDS + 1 }, (_, i) => Math.floor(melToHz.htk((top * i) / BANDS) / width));
    const begun = performance.now(), due = [];
    let drawn = 0;
    const frame = () => {
      if (this.run !== run) return;
      requestAnimationFrame(frame);
      const now = Math.floor((FRAMES * (performance.now() - begun)) / 1000);
      run.analyser.getByteFrequencyData(bins);
      const column = Array.from({ length: BANDS }, (_, i) => Math.max(...bins.subarray(edges[i], Math.max(edges[i] + 1, edges[i + 1]))));
      for (; drawn < now; drawn++) due.push(column);
      if (due.length < (this.calm.matches ? FRAMES : 1)) return;
      const fresh = due.splice(0).slice(-this.part.picture.width);
      this.pen.drawImage(this.part.picture, -fresh.length, 0);
      this.pen.putImageData(columns(fresh.length, fresh), this.part.picture.width - fresh.length, 0);
    };
    frame();
  }
}

export default mounted(Live);

function release({ stream, context }) {
  stream?.getTracks().forEach((track) => track.stop());
  if (context?.state !== "closed") context?.close();
}

function row() {
  const node = document.createElement("li");
  node.append(...["span", "i", "b"].map((name) => document.createElement(name)));
  return node;
}

// Columns of bytes, the lowest band first, as an image; silence where there are none.
function columns(count, values) {
  const image = new ImageData(count, BANDS), pixels = new Uint32Array(image.data.buffer).fill(COLOURS[0]);
  values.forEach((column, x) => column.forEach((byte, i) => { pixels[(BANDS - 1 - i) * count + x] = COLOURS[byte]; }));
  return image;
}

function int16(pieces) {
  return Int16Array.from(pieces.flatMap((piece) => [...piece]), (x) => 32767 * Math.min(1, Math.max(-1, x)));
}
