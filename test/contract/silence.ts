import { type RawHost, startRaw } from "./raw-machine.ts";
import { ADDRESSES, type World } from "./world.ts";

const CONTROL = { address: ADDRESSES.stun, port: 9_000 };
/** Before there is silence the control has answered this often, with a pause after each answer. */
const ROUNDS = 4;
const PAUSE_MS = 25;
const STANDSTILL_MS = 20_000;

/**
 * Tells what does not come from what has not come yet, on a machine however crowded: two public hosts talk to each
 * other without a NAT between them, and what is still missing after several of their round trips was not under way.
 */
export class Silence {
  readonly #world: World;
  readonly #peer: RawHost;

  private constructor(world: World, peer: RawHost) {
    this.#world = world;
    this.#peer = peer;
  }

  static async around(world: World): Promise<Silence> {
    await startRaw(world, "stun", [CONTROL]);
    return new Silence(world, await startRaw(world, "peer", [{}]));
  }

  /** Lets the world go on until `done()`, or until nothing can be under way any more. */
  async until(done: () => boolean): Promise<void> {
    for (let round = 0; round < ROUNDS; round++) {
      const answered = this.#peer.heard.length + 1;
      this.#peer.ask(0, CONTROL);
      if (!(await this.#world.until(() => done() || this.#peer.heard.length >= answered, STANDSTILL_MS)))
        throw new Error("Two public hosts do not reach each other");
      if (await this.#world.until(done, PAUSE_MS)) return;
    }
  }
}
