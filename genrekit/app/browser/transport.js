// One sound, one clock: a button, a slider and the time, and whatever is drawn in step with them.
//
// `part` has the nodes `play`, `sound`, `position` and `clock`; `show` draws a moment, in seconds.

export class Transport {
  constructor(part, show) {
    Object.assign(this, { part, show, time: 0, seconds: 0 });
    const { play, sound, position } = part;
    play.onclick = () => (sound.paused ? this.play() : sound.pause());
    position.oninput = () => this.seek(Number(position.value));
    sound.onplay = () => this.follow();
    sound.onpause = sound.onended = sound.onseeked = () => this.draw();
    sound.onloadedmetadata = () => { sound.currentTime = this.time; };
    sound.onerror = () => {
      play.disabled = true;
      play.textContent = "This browser cannot play it";
    };
  }

  // Begin with pictures of so many seconds. Sounds that are loaded for them later keep the time.
  open(seconds) {
    this.part.sound.pause();
    this.part.position.max = this.seconds = seconds;
    this.time = 0;
  }

  load(address) {
    if (address && this.part.sound.getAttribute("src") !== address) {
      this.part.play.disabled = false;
      this.part.sound.src = address;
    }
  }

  play() {
    if (this.time > this.seconds - 0.05) this.seek(0);
    this.part.sound.play().catch(() => this.draw());
  }

  seek(seconds) {
    this.time = Math.min(this.seconds, Math.max(0, seconds));
    this.part.sound.currentTime = this.time;
    this.draw();
  }

  follow() {
    if (this.part.sound.paused) return;
    this.time = this.part.sound.currentTime;
    this.draw();
    requestAnimationFrame(() => this.follow());
  }

  draw() {
    const { play, sound, position, clock } = this.part;
    if (!play.disabled) play.textContent = sound.paused || sound.ended ? "▶ Play" : "❚❚ Pause";
    position.value = this.time;
    clock.textContent = `${this.time.toFixed(1)} / ${this.seconds.toFixed(1)} s`;
    position.setAttribute("aria-valuetext", clock.textContent);
    this.show(this.time);
  }
}
