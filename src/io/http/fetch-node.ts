/**
 * `fetch` from the status address of a node: what HTTP_PROXY says is meant for the world outside, and a proxy could not
 * reach a node that listens on loopback anyway. Rejects as `fetch` does.
 */
export function fetchNode(url: string, init: RequestInit): Promise<Response> {
  // Bun's own option: false goes direct, whatever the environment says; its types know addresses of proxies only.
  return fetch(url, { redirect: "error", ...init, proxy: false } as RequestInit);
}
