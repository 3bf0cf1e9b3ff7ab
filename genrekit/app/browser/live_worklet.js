// Hands on what the microphone hears, in pieces of some 40 ms, from the thread that processes sound.

const PIECE = 2048;

registerProcessor("samples", class extends AudioWorkletProcessor {
  piece = new Float32Array(PIECE);
  filled = 0;

  process([[channel]]) {
    if (!channel) return true;
    this.piece.set(channel, this.filled); // blocks of 128 fill it exactly
    this.filled = (this.filled + channel.length) % PIECE;
    if (!this.filled) this.port.postMessage(this.piece);
    return true;
  }
});
