import { buildInfo } from "../io/build-info.ts";
import { type Command, parseFlags } from "./command.ts";

/** `ut version`: what to name when reporting a problem. */
export const version: Command = {
  name: "version",
  summary: "version, commit, Bun and platform of this binary",
  help: `ut version [--json]

Say which ut this is.

  --json   {"version", "commit", "bun", "platform"} on one line`,
  async run(argv, terminal) {
    const { values } = parseFlags(argv, { json: { type: "boolean" } });
    const { version, commit, bun, platform } = buildInfo;
    terminal.out(values.json ? JSON.stringify(buildInfo) : `ut ${version} (commit ${commit}, Bun ${bun}, ${platform})`);
    return 0;
  },
};
