// Unpacks Chromium beside this file, once, so that tests that run side by side need not.
// As on Lambda it brings the libraries that a bare machine lacks, and fonts.
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL("unpacked", import.meta.url));
mkdirSync(here, { recursive: true });
process.env.TMPDIR = here;
process.env.AWS_LAMBDA_JS_RUNTIME = "nodejs22.x";
const { default: chromium } = await import("@sparticuz/chromium");
console.log(await chromium.executablePath());
