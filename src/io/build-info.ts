import { version } from "../../package.json";

/** What this program is: for logs, `ut version`, `ut_build_info` and `/api/status`. */
export interface BuildInfo {
  readonly version: string;
  /** Git commit, with `-dirty` when the tree had changes; `dev` when run from source. */
  readonly commit: string;
  /** Version of the Bun inside. */
  readonly bun: string;
  /** `linux-x64`, `linux-arm64-musl`, `darwin-arm64`, … */
  readonly platform: string;
}

// Put in by scripts/build.ts (`define`); from source they do not exist.
declare const UT_COMMIT: string | undefined;
declare const UT_PLATFORM: string | undefined;

export const buildInfo: BuildInfo = {
  version,
  commit: typeof UT_COMMIT === "string" ? UT_COMMIT : "dev",
  bun: Bun.version,
  platform: typeof UT_PLATFORM === "string" ? UT_PLATFORM : `${process.platform}-${process.arch}`,
};
