// The package in a TypeScript project: documented names compile, and misuse is an error.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL("..", import.meta.url));
const installed = join(here, "dev", "node_modules");
const tsc = join(installed, "typescript", "bin", "tsc");
const GOOD = `
import { connect, statsOf, timeline, type ProgressEvent } from "cto-progress";
import { simulate } from "cto-progress/simulate";
import { CTOProvider, useCTOJob } from "cto-progress/react";
import { useCTOJobs } from "cto-progress/vue";
import { connectNative } from "cto-progress/react-native";
import { CTOProgress } from "cto-progress/element";

const client = connect({ url: "http://gateway", token: async () => "token" });
const tracker = client.track(["a", "b"]);
tracker.onProgress((event, { restored }) => { const seq: number = event.seq; const again: boolean = restored; });
for await (const event of tracker) { const step: "transfer" | "buy" | undefined = event.details?.lastStep?.kind; }
const total: number = statsOf(tracker.snapshot.jobs).total;
const events: readonly ProgressEvent[] = tracker.job("a")?.events ?? [];
const from: number | undefined = timeline(events)?.from;
const same: typeof client = simulate({ speed: 2 });
const { jobId } = await client.submit({ tokenAddress: "", userId: "", userChatId: 1, mode: "standard", buyAmount: 1 });
`;
const BAD = [
  "client.track(7);",
  "client.submit({ userId: \"7\" });",
  "tracker.onProgress((event) => event.sequence);",
  "connect({ token: 7 });",
];

/** Return the declarations in a folder, by file name. */
const declarations = (folder) => Object.fromEntries(readdirSync(folder, { recursive: true })
  .filter((name) => name.endsWith(".ts")).sort().map((name) => [name, readFileSync(join(folder, name), "utf8")]));

test("the declarations in types/ are up to date", () => {
  const generated = mkdtempSync(join(tmpdir(), "cto-progress-"));
  try {
    execFileSync(process.execPath, [tsc, "--project", join(here, "tsconfig.json"), "--outDir", generated]);
    assert.deepEqual(declarations(join(here, "types")), declarations(generated), "run `npm run types` and commit types/");
  } finally {
    rmSync(generated, { recursive: true });
  }
});

test("the types accept documented use and reject misuse", () => {
  const project = mkdtempSync(join(tmpdir(), "cto-progress-"));
  try {
    const copy = join(project, "node_modules", "cto-progress");
    mkdirSync(copy, { recursive: true });
    for (const name of ["package.json", "src", "types"]) cpSync(join(here, name), join(copy, name), { recursive: true });
    for (const name of ["@types", "react", "vue", "@vue", "csstype"]) {
      symlinkSync(join(installed, name), join(project, "node_modules", name));
    }
    const options = { module: "NodeNext", target: "ES2023", lib: ["ES2023", "DOM"], strict: true, noEmit: true, skipLibCheck: true, types: [] };
    writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions: options, include: ["*.ts"] }));
    writeFileSync(join(project, "package.json"), '{ "type": "module" }');
    writeFileSync(join(project, "good.ts"), GOOD);
    const check = () => execFileSync(process.execPath, [tsc, "--project", project], { encoding: "utf8", stdio: "pipe" });
    try {
      check();
    } catch (error) {
      assert.fail(error.stdout);
    }
    writeFileSync(join(project, "bad.ts"), `${GOOD}\n${BAD.join("\n")}`);
    let output = "";
    try {
      check();
    } catch (error) {
      output = error.stdout;
    }
    const lines = new Set([...output.matchAll(/bad\.ts\((\d+)/g)].map(([, line]) => Number(line)));
    assert.equal(lines.size, BAD.length, output);
  } finally {
    rmSync(project, { recursive: true });
  }
});
