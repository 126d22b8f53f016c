// Changing instruments while they play: the one that is left rings out under the one that plays on.
// Every Player has handOver(next): `next` goes on from all that was heard, and it only rings out itself.

const RING_OUT = 1; // s until it has faded away

export class Leaving {
  constructor(rate) {
    this.rate = rate;
    this.players = [];
  }

  // The player of another model, which goes on from where the one before stands.
  replace(before, { model, settings }, noise) {
    const next = new Player(model, this.rate, noise);
    before.handOver(next);
    Object.assign(next, { onHit: before.onHit, onUpdate: before.onUpdate, meters: before.meters });
    next.configure(settings);
    before.onHit = before.onUpdate = () => {};
    before.clearMeters();
    this.players.push({ player: before, left: RING_OUT * this.rate });
    return next;
  }

  // Adds what rings out to an output.
  mix(output) {
    if (!this.players.length) return;
    const silence = new Float32Array(output.length);
    const ringing = new Float32Array(output.length);
    for (const leaving of this.players) {
      leaving.player.process(silence, ringing);
      for (let i = 0; i < output.length; i++, leaving.left--) {
        output[i] += (ringing[i] * Math.max(0, leaving.left)) / (RING_OUT * this.rate);
      }
    }
    this.players = this.players.filter(({ left }) => left > 0);
  }

  silence() {
    this.players = [];
  }
}
