import type { Finding } from "./finding.ts";
import type { Scene } from "./scene.ts";

/**
 * One question about a node that is to run. It changes nothing: what it binds it lets go, what it dials it leaves with a
 * goodbye.
 */
export interface Check {
  /** Stands in front of its findings. */
  readonly name: string;
  /** What it does, for who waits for it. */
  readonly doing: string;
  /** Nothing where the question does not arise for the roles of the config. May reject because of `scene.signal` only. */
  run(scene: Scene): Promise<readonly Finding[]>;
}
