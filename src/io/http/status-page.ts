import { bundlePage } from "./bundle-page.ts" with { type: "macro" };
import type { StatusPage } from "./bundle-page.ts";

/** The page at `/`, as it was when this program was compiled. */
export const STATUS_PAGE: StatusPage = bundlePage();
