import { CLASSIFY_ROWS, classifyContract } from "../contract/classify.ts";
import { openSimWorld } from "./sim-world.ts";

const SEED = 1;

classifyContract("simulated", CLASSIFY_ROWS, async (map) => openSimWorld(map, { seed: SEED }));
