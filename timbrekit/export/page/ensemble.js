// Several instruments of which one plays: the others wait, or ring out under it after a change.
// Every Player has handOver(next): `next` goes on from all that was heard, and it only rings out itself.

const RING_OUT = 1; // s until what rings on after a change has faded away
const RETURN = 0.02; // s in which an instrument that still rang out is as loud again as it was

export class Ensemble {
  // player: the one that plays, and its number
  constructor(player, number, noise) {
    Object.assign(this, { player, noise, ringing: [], gain: 1 });
    this.players = new Map([[number, player]]);
  }

  // Made when it is opened, which may take a while, so that changing to it takes none.
  add(number, model) {
    this.players.set(number, new Player(model, this.player.rate, this.noise));
  }

  // From the next sample on, another one plays.
  play(number, settings) {
    const [before, next] = [this.player, this.players.get(number)];
    if (!next || next === before) return;
    before.handOver(next);
    Object.assign(next, { onHit: before.onHit, onUpdate: before.onUpdate, meters: before.meters });
    next.configure(settings);
    before.onHit = before.onUpdate = () => {};
    before.clearMeters();
    const rings = this.ringing.find(({ player }) => player === next);
    this.ringing = this.ringing.filter((one) => one !== rings);
    this.ringing.push({ player: before, gain: this.gain });
    this.gain = rings?.gain ?? 1;
    this.player = next;
  }

  // input, output: Float32Array of the same length, mono.
  process(input, output) {
    this.player.process(input, output);
    const { rate } = this.player;
    for (let i = 0; this.gain < 1 && i < output.length; i++) {
      output[i] *= this.gain;
      this.gain = Math.min(1, this.gain + 1 / (RETURN * rate));
    }
    if (this.ringing.length) this.ringOut(output, 1 / (RING_OUT * rate));
  }

  ringOut(output, step) {
    const silence = new Float32Array(output.length);
    const sound = new Float32Array(output.length);
    for (const one of this.ringing) {
      one.player.process(silence, sound);
      for (let i = 0; i < output.length && one.gain > 0; i++, one.gain -= step) output[i] += one.gain * sound[i];
    }
    this.ringing = this.ringing.filter(({ gain }) => gain > 0);
  }

  panic() {
    this.ringing = [];
    this.player.panic();
  }
}
