/**
 * Proves the arm64 build on a machine of any kind, under qemu's user emulation:
 *
 *     bun run scripts/build.ts --target linux-arm64 && bun run scripts/prove-arm64.ts [BINARY]
 *
 * Needs Debian's qemu-user libc6-arm64-cross libstdc++6-arm64-cross libgcc-s1-arm64-cross.
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { proveBinary } from "./prove-binary.ts";

/** Where Debian's cross packages put the arm64 libraries. */
export const ARM64_LIBRARIES = "/usr/aarch64-linux-gnu";
export const DEBIAN_PACKAGES = "qemu-user libc6-arm64-cross libstdc++6-arm64-cross libgcc-s1-arm64-cross";

/** The command that runs an arm64 binary here, or `undefined` where the packages are missing. */
export function arm64Command(binary: string): string[] | undefined {
  if (process.platform === "linux" && process.arch === "arm64") return [binary];
  const qemu = Bun.which("qemu-aarch64") ?? Bun.which("qemu-aarch64-static");
  if (qemu === null || !existsSync(ARM64_LIBRARIES)) return undefined;
  return [qemu, "-L", ARM64_LIBRARIES, binary];
}

if (import.meta.main) process.exit(await main(process.argv[2] ?? "dist/ut-linux-arm64"));

async function main(path: string): Promise<number> {
  const binary = resolve(path);
  const command = arm64Command(binary);
  if (command === undefined) {
    console.error(`Cannot run arm64 binaries here: install ${DEBIAN_PACKAGES}`);
    return 2;
  }
  if (!existsSync(binary)) {
    console.error(`Cannot find ${binary}: bun run scripts/build.ts --target linux-arm64 makes it`);
    return 2;
  }
  try {
    await proveBinary(command, (line) => console.log(`ok  ${line}`));
  } catch (error) {
    console.error(`FAILED  ${(error as Error).message}`);
    return 1;
  }
  console.log(`${path} works: ${command.slice(0, -1).join(" ") || "natively"}`);
  return 0;
}
