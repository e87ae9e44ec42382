/** What `ut` is built for: the name in file names and `ut version` → what Bun calls it. Its x64 builds need no AVX2. */
export const TARGETS = {
  "linux-arm64": "bun-linux-arm64",
  "linux-x64": "bun-linux-x64",
  "darwin-arm64": "bun-darwin-arm64",
  "darwin-x64": "bun-darwin-x64",
  "linux-x64-musl": "bun-linux-x64-musl",
  "linux-arm64-musl": "bun-linux-arm64-musl",
} as const satisfies Record<string, Bun.Build.CompileTarget>;

export type Target = keyof typeof TARGETS;
