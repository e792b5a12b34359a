// Unpacks Chromium beside this file once, so that parallel tests do not unpack it.
// As on Lambda, it contains a font, and the libraries that a minimal machine lacks.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL("unpacked", import.meta.url));
mkdirSync(here, { recursive: true });
process.env.TMPDIR = here;
process.env.AWS_LAMBDA_JS_RUNTIME = "nodejs22.x";
const { default: chromium } = await import("@sparticuz/chromium");
console.log(await chromium.executablePath());

// Its own configuration names the font folder of Lambda. Chromium aborts if it finds no font.
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
