import { describe, expect, test } from "bun:test";
import { parseDocument } from "yaml";
import { EXAMPLES } from "../../../src/config/examples.ts";
import { formatConfig, plainConfig } from "../../../src/config/format.ts";
import { configJsonSchema, keyPaths, schemaAt } from "../../../src/config/json-schema.ts";
import { loadConfig, parseConfig } from "../../../src/config/load.ts";
import { ROLES } from "../../../src/config/roles.ts";
import { TLS } from "./config-text.ts";

/** Keys without a default, or with nothing as default: what the example shows for them is an example. */
const NO_DEFAULT = /^ *#(sndbuf|rcvbuf|server_name|public_addrs|reflex_override|host|proxy): .*\n/gm;

/** `#key: value` and `#  - item` are defaults that are commented out, `# text` is prose. */
function uncommented(text: string): string {
  return text.replace(/^( *)#([a-z_]+:(?: |$)| {2}- )/gm, "$1$2");
}

describe.each([...ROLES])("config/%s.yaml", (role) => {
  const path = `config/${role}.yaml`;

  test("loads, as the file and as the text that the binary carries", async () => {
    expect(EXAMPLES[role]).toBe(await Bun.file(path).text());
    expect(loadConfig(path).roles).toEqual([role]);
  });

  test("states the true defaults in its commented lines", () => {
    const stated = parseConfig(uncommented(EXAMPLES[role].replace(NO_DEFAULT, "")), path);
    expect(stated).toEqual(loadConfig(path));
  });

  test("every commented line is a setting that exists", () => {
    expect(parseConfig(uncommented(EXAMPLES[role]), path).tcp.sndbuf).toBe(4_194_304);
  });
});

test("together the examples show every key there is", () => {
  const shown = ROLES.flatMap((role) => {
    const document = parseDocument(uncommented(EXAMPLES[role]));
    return keyPaths().filter((path) => document.hasIn(path));
  });
  const names = new Set(shown.map((path) => path.join(".")));
  const missing = keyPaths().map((path) => path.join("."));
  expect(missing.filter((name) => !names.has(name))).toEqual(["roles"]);
});

describe("a formatted config", () => {
  const full = `roles: [client, server]\ntcp: { server_addr: "[::1]:5443", listen_addr: ":5443", sndbuf: 65536 }\ntls: { ca_cert: /c/ca, cert: /c/n, key: /c/k, deny_cn: [a, b], server_name: s.example }\n`;
  for (const [name, text] of Object.entries({ ...EXAMPLES, full, short: `role: server\n${TLS}` }))
    test(`reads back as the same config: ${name}`, () => {
      const config = parseConfig(text, "/c/ut.yaml");
      expect(parseConfig(formatConfig(config), "/elsewhere/ut.yaml")).toEqual(config);
      expect(parseConfig(JSON.stringify(plainConfig(config)), "/elsewhere/ut.yaml")).toEqual(config);
    });
});

describe("the JSON Schema", () => {
  test("describes every key, and gives a default or an example of every value that is not an obvious one", () => {
    const bare = keyPaths().filter((path) => {
      const node = schemaAt(path);
      const isClear = node?.default !== undefined || node?.examples !== undefined || node?.minimum !== undefined;
      return node?.description === undefined || !(isClear || ["roles", "server_name"].includes(path.at(-1) ?? ""));
    });
    expect(bare).toEqual([]);
  });

  test("knows limits, words, units, and what cannot be left out", () => {
    expect(schemaAt(["tcp", "tcp_buf"])).toEqual({
      type: "integer",
      minimum: 4096,
      maximum: 16_777_216,
      default: 16_384,
      "x-unit": "bytes",
      description:
        "Unsent bytes a lane may hold in the kernel (TCP_NOTSENT_LOWAT); the rest waits in the session's queue.",
    });
    expect(schemaAt(["tcp", "pick"])?.enum).toEqual(["round_robin", "hash"]);
    expect(schemaAt(["udp", "listen_addr"])).toMatchObject({ type: "string", default: "127.0.0.1:15000" });
    expect(schemaAt(["tls"])?.required).toEqual(["ca_cert", "cert", "key"]);
    expect(configJsonSchema()).toMatchObject({
      $schema: "https://json-schema.org/draft/2020-12/schema",
      required: ["tls"],
      oneOf: [{ required: ["role"] }, { required: ["roles"] }],
      additionalProperties: false,
    });
    expect(schemaAt(["tcp", "constructor"])).toBeUndefined();
  });
});

test("config/container.yaml loads, listens where other containers reach it, and says why", async () => {
  const { roles, udp, metrics } = loadConfig("config/container.yaml");
  expect(roles).toEqual(["client"]);
  expect([udp.listen_addr, metrics.listen_addr]).toEqual([
    { host: "0.0.0.0", port: 15_000 },
    { host: "0.0.0.0", port: 5_080 },
  ]);
  const text = await Bun.file("config/container.yaml").text();
  expect(text).toContain("Prometheus runs in another container, for which 127.0.0.1 in here does not exist.");
});
