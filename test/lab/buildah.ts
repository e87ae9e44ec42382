import { cpSync, existsSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { runCommand } from "./namespace.ts";

const ROOT = join(import.meta.dir, "../..");

/** Of the images that the Dockerfile builds on. No registry is asked: these stand in for them. */
const STAND_INS = {
  "node:22-bookworm-slim": "localhost/node-stand-in",
  "gcr.io/distroless/base-debian12:nonroot": "localhost/distroless-stand-in",
} as const;

/** Environment of `npm` where a proxy of the machine's own stands before the registry. */
const CA_VARIABLES = ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"] as const;

/** buildah, with images and containers in a folder of its own; it builds without any engine. */
export class Buildah {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async run(args: readonly string[], timeoutMs = 60_000): Promise<string> {
    const own = ["--root", join(this.#folder, "storage"), "--runroot", join(this.#folder, "run")];
    const text = await runCommand(["buildah", ...own, "--storage-driver", "vfs", ...args], { timeoutMs });
    return text.trim();
  }

  /** Builds the project's Dockerfile. */
  async build(tag: string, buildArguments: Readonly<Record<string, string>>): Promise<void> {
    await this.#makeNodeStandIn();
    await this.#makeDistrolessStandIn();
    const contexts = Object.entries(STAND_INS).flatMap(([name, image]) => [
      "--build-context",
      `${name}=container-image://${image}`,
    ]);
    const values = Object.entries(buildArguments).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]);
    // The docker format, since the other one knows no health checks.
    await this.run(
      ["bud", "--isolation", "chroot", "--format", "docker", ...contexts, ...values, "-t", tag, ROOT],
      300_000,
    );
  }

  /** The files of a container that is made from an image. */
  async rootOf(image: string): Promise<string> {
    return await this.run(["mount", await this.run(["from", image])]);
  }

  /** Node.js and npm of this machine, and a shell. */
  async #makeNodeStandIn(): Promise<void> {
    const root = join(this.#folder, "node");
    const node = needed("node");
    for (const program of [node, "/bin/sh", "/bin/mv", "/bin/mkdir", "/usr/bin/env"]) await copyProgram(program, root);
    const npm = dirname(dirname(realpathSync(needed("npm"))));
    cpSync(npm, join(root, "usr/lib/npm"), { recursive: true });
    mkdirSync(join(root, "usr/local/bin"), { recursive: true });
    for (const name of ["npm", "npx"])
      symlinkSync(`/usr/lib/npm/bin/${name}-cli.js`, join(root, "usr/local/bin", name));
    mkdirSync(join(root, "tmp"));
    const variables: string[] = [`PATH=/usr/local/bin:${dirname(node)}:/usr/bin:/bin`, "HOME=/tmp"];
    for (const name of CA_VARIABLES) {
      const path = process.env[name];
      if (path === undefined || !existsSync(path)) continue;
      cpSync(path, join(root, path), { recursive: true, dereference: true });
      variables.push(`${name}=${path}`);
    }
    await this.#commit(STAND_INS["node:22-bookworm-slim"], root, variables);
  }

  /** The C library that the binary names, and users. */
  async #makeDistrolessStandIn(): Promise<void> {
    const root = join(this.#folder, "distroless");
    for (const library of await librariesOf(process.execPath)) copy(library, root);
    mkdirSync(join(root, "etc"));
    writeFileSync(join(root, "etc/passwd"), "root:x:0:0:::\nnonroot:x:65532:65532:::\n");
    await this.#commit(STAND_INS["gcr.io/distroless/base-debian12:nonroot"], root, [
      "PATH=/usr/local/bin:/usr/bin:/bin",
    ]);
  }

  async #commit(image: string, root: string, variables: readonly string[]): Promise<void> {
    const container = await this.run(["from", "scratch"]);
    await this.run(["add", "-q", container, root, "/"]);
    await this.run(["config", ...variables.flatMap((one) => ["--env", one]), container]);
    await this.run(["commit", "-q", container, image]);
    await this.run(["rm", container]);
  }
}

function needed(program: string): string {
  const path = Bun.which(program);
  if (path === null) throw new Error(`Cannot find ${program}, which the build stage needs`);
  return path;
}

async function copyProgram(program: string, root: string): Promise<void> {
  copy(program, root);
  for (const library of await librariesOf(program)) copy(library, root);
}

function copy(path: string, root: string): void {
  cpSync(path, join(root, path), { dereference: true });
}

/** With the loader; paths as the loader finds them here. */
export async function librariesOf(program: string): Promise<string[]> {
  const text = await runCommand(["ldd", program]);
  return [...text.matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path ?? "");
}
