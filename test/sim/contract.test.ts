import { natContract } from "../contract/nat-contract.ts";
import { openSimWorld } from "./sim-world.ts";

/** The observations have everything random left out, so any seed will do. */
const SEED = 1;

natContract("simulated", async (map) => openSimWorld(map, { seed: SEED }));
