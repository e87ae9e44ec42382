import { UtError } from "../../core/error.ts";
import type { Command } from "../command.ts";
import { udpmonProbe } from "./udpmon-probe.ts";
import { udpmonReflector } from "./udpmon-reflector.ts";

const SUBCOMMANDS: readonly Command[] = [udpmonProbe, udpmonReflector];
const HELP = SUBCOMMANDS.map(({ help }) => help).join("\n\n");

/** `ut udpmon …` */
export const udpmon: Command = {
  name: "udpmon",
  summary: "measure UDP loss, round trip and jitter, straight or through a tunnel",
  help: HELP,
  async run(argv, terminal) {
    const [name, ...rest] = argv;
    const subcommand = SUBCOMMANDS.find((one) => one.name === name);
    if (subcommand !== undefined) return await subcommand.run(rest, terminal);
    const got = name === undefined ? "nothing" : `"${name}"`;
    throw new UtError("usage.unknown-command", `Cannot run "ut udpmon": expected probe or reflector, got ${got}`);
  },
};
