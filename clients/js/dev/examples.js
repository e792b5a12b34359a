// Bundles each example into a page without further dependencies, in examples/dist or the folder of the first argument.
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const examples = fileURLToPath(new URL("../examples", import.meta.url));
const dist = process.argv[2] ?? `${examples}/dist`;

rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);
cpSync(`${examples}/style.css`, `${dist}/style.css`);
for (const { name } of readdirSync(examples, { withFileTypes: true }).filter((entry) => entry.isDirectory() && entry.name !== "dist")) {
  const source = `${examples}/${name}/main.js`;
  await build({
    entryPoints: [existsSync(source) ? source : `${source}x`],
    outfile: `${dist}/${name}/main.js`,
    bundle: true, minify: true, format: "esm", target: "es2022", jsx: "automatic", logLevel: "warning",
    alias: { "react-native": "react-native-web" },
    nodePaths: [fileURLToPath(new URL("node_modules", import.meta.url))], // the package's folder has no React of its own
    define: {
      "process.env.NODE_ENV": '"production"',
      __VUE_OPTIONS_API__: "false", __VUE_PROD_DEVTOOLS__: "false", __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "false",
    },
  });
  cpSync(`${examples}/${name}/index.html`, `${dist}/${name}/index.html`);
}
