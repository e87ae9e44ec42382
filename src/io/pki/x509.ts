import type * as X509 from "@peculiar/x509";

export type X509Library = typeof X509;

let loading: Promise<X509Library> | undefined;

/**
 * `@peculiar/x509`, loaded on first use: a node that only reads certificates never pays its 10 to 100 ms.
 *
 * Two dynamic imports and not one module with two static ones: the library's container looks for `reflect-metadata`
 * while it is evaluated, and the bundler does not keep the order of side-effect imports inside a lazy chunk.
 */
export function loadX509(): Promise<X509Library> {
  loading ??= import("reflect-metadata").then(() => import("@peculiar/x509"));
  return loading;
}
