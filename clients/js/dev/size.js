// Prints the size of the core, minified and gzipped, without socket.io-client. Fails above the limit.
import { gzipSync } from "node:zlib";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const LIMIT_BYTES = 6.25 * 1024;
const ONE_FUNCTION_LIMIT_BYTES = 512;

/** Exclude the modules that are loaded on demand, such as the transports. @type {import("esbuild").Plugin} */
const withoutDynamicImports = {
  name: "without dynamic imports",
  setup: ({ onResolve }) => onResolve({ filter: /./ }, ({ kind, path }) => (kind === "dynamic-import" ? { path, external: true } : null)),
};

/** Return the size of a bundle, in bytes. @param {string} code the imports of a page */
async function size(code) {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: fileURLToPath(new URL("../src", import.meta.url)) },
    bundle: true, minify: true, format: "esm", target: "es2022", write: false, plugins: [withoutDynamicImports],
  });
  return gzipSync(outputFiles[0].contents, { level: 9 }).length;
}

const core = await size('export { connect } from "./index.js"');
const sizes = {
  "the core (connect)": core,
  "all exports of index.js": await size('export * from "./index.js"'),
  "the Socket.IO transports": await size('export * from "./transports/socketio.js"'),
  "the WebSocket transport": await size('export * from "./transports/websocket.js"'),
  "the SSE and polling transports": await size('export * from "./transports/sse.js"'),
  "only timeline": await size('export { timeline } from "./index.js"'),
};
for (const [name, bytes] of Object.entries(sizes)) console.log(`${String(bytes).padStart(6)} bytes  ${name}`);
if (core > LIMIT_BYTES || sizes["only timeline"] > ONE_FUNCTION_LIMIT_BYTES) {
  console.error(`A size is above its limit: ${LIMIT_BYTES} bytes for the core, ${ONE_FUNCTION_LIMIT_BYTES} bytes for one function.`);
  process.exit(1);
}
