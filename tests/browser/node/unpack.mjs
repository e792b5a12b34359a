// Unpacks Chromium beside this file, once, so that tests that run side by side need not.
// As on Lambda it brings the libraries that a bare machine lacks, and a font.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL("unpacked", import.meta.url));
mkdirSync(here, { recursive: true });
process.env.TMPDIR = here;
process.env.AWS_LAMBDA_JS_RUNTIME = "nodejs22.x";
const { default: chromium } = await import("@sparticuz/chromium");
console.log(await chromium.executablePath());

// What it brings says to look for fonts where Lambda has them. Chromium aborts when it needs one and finds none.
const fonts = join(here, "fonts");
writeFileSync(
  join(fonts, "fonts.conf"),
  `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${join(fonts, "fonts")}</dir>
  <cachedir>${join(fonts, "cache")}</cachedir>
</fontconfig>
`,
);
