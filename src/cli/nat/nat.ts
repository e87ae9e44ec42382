import { UtError } from "../../core/error.ts";
import type { Command } from "../command.ts";
import { natCheck } from "./nat-check.ts";
import { natExplain } from "./nat-explain.ts";
import { natMap } from "./nat-map.ts";

/** In the order of `ut nat --help`. */
const SUBCOMMANDS: readonly Command[] = [natCheck, natMap, natExplain];

const HELP = `Usage: ut nat ${SUBCOMMANDS.map(({ name }) => name).join("|")} …

What stands between this machine and the internet, and what that does to the traffic with a peer.

${SUBCOMMANDS.map(({ help }) => help).join("\n\n")}`;

/** `ut nat …` */
export const nat: Command = {
  name: "nat",
  summary: "what stands between this machine and the internet, port mappings, and why a peer is relayed",
  help: HELP,
  async run(argv, terminal) {
    const [name, ...rest] = argv;
    if (argv.includes("--help") || argv.includes("-h")) {
      terminal.out(HELP);
      return 0;
    }
    const subcommand = SUBCOMMANDS.find((one) => one.name === name);
    if (subcommand !== undefined) return await subcommand.run(rest, terminal);
    throw new UtError(
      "usage.unknown-command",
      `Cannot run "ut nat${name === undefined ? "" : ` ${name}`}": expected one of ${SUBCOMMANDS.map((one) => one.name).join(", ")} (see "ut nat --help")`,
    );
  },
};
