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
const INSTALLED = ["@types", "react", "vue", "@vue", "csstype", "socket.io-client", "socket.io-parser", "engine.io-client", "@socket.io"];
const GOOD = {
  "client.ts": `
import { connect, statsOf, timeline, CTOError, type ErrorCode, type JobsPage, type JobsSummary, type ProgressEvent, type Stats, type Timeline } from "cto-progress";
import { simulate } from "cto-progress/simulate";
import { connectNative } from "cto-progress/react-native";
import { io } from "socket.io-client";

const client = connect({ url: "http://gateway", token: async () => "token", io });
const tracker = client.track(["a", "b"]);
tracker.onProgress((event, { restored }) => { const seq: number = event.seq; const again: boolean = restored; });
for await (const event of tracker) { const step: "transfer" | "buy" | undefined = event.details?.lastStep?.kind; }
const stats: Stats = statsOf(tracker.snapshot.jobs);
const events: readonly ProgressEvent[] = tracker.job("a")?.events ?? [];
const times: Timeline | null = timeline(events);
const same: typeof client = simulate({ speed: 2 });
const { jobId } = await client.submit({ tokenAddress: "", userId: "", userChatId: 1, mode: "standard", buyAmount: 1, platform: "any" });
const status: "waiting" | "active" | "completed" | "failed" = (await client.status(jobId)).status;
const spent: number | undefined = (await client.status(jobId)).operationResult?.wallets?.[0]?.spent;
const page: JobsPage = await client.jobs({ status: "needs_review", limit: 5 });
const next = client.jobs({ cursor: page.nextCursor });
const notFound: number = (await client.stats([jobId])).notFound;
const totals: JobsSummary = await client.summary({ outcome: "partial", needsReview: false, from: 0 });
const partial: number = totals.byOutcome.partial + totals.byStatus.waiting;
const requested: boolean = (await client.cancel(jobId)).cancelRequested;
function adviceFor(error: CTOError): string {
  switch (error.code) {
    case "job_not_found": return "check the id";
    case "unreachable": return "check the network";
    default: return error.message;
  }
}
const code: ErrorCode = "too_many_rooms";
`,
  "react.tsx": `
import "cto-progress/element";
import { useRef } from "react";
import { simulate } from "cto-progress/simulate";
import { CTOProvider, useCTOCancel, useCTOHistory, useCTOJob, useCTOJobs, useCTOSubmit } from "cto-progress/react";

const client = simulate();
export function Job({ id }: { id: string }) {
  const { progress } = useCTOJob(id);
  const isHalf: boolean = useCTOJob(id, ({ progress }) => progress > 50);
  const count: number = useCTOJobs({ user: "7" }, ({ stats }) => stats.completed);
  const { mutate: submit, data, error } = useCTOSubmit();
  const jobId: string | undefined = data?.jobId;
  const isUnknown: boolean = useCTOCancel().error?.code === "job_not_found";
  const createdAt: number | undefined = useCTOHistory({ status: "failed" }).jobs[0]?.createdAt;
  const element = useRef<import("cto-progress/element").CTOProgress>(null);
  return (
    <CTOProvider value={client}>
      <cto-progress ref={element} job={id} url="http://gateway" client={client} title={String(progress)}
        oncto-complete={(event) => { const seq: number = event.detail.seq; }} />
    </CTOProvider>
  );
}
`,
  "vue.tsx": `
/** @jsxImportSource vue */
import { useCTOJob } from "cto-progress/vue";
import type { GlobalComponents } from "vue";

export const Job = (id: string) => <cto-progress job={id} class="job" onCtoComplete={(event) => { const seq: number = event.detail.seq; }} />;
export const useJob = (id: string): number => useCTOJob(id).progress.value;
type Props = InstanceType<GlobalComponents["cto-progress"]>["$props"];
export const props: Props = { job: "one" };
`,
  "element.ts": `
import { simulate } from "cto-progress/simulate";
import "cto-progress/element";

const element = document.createElement("cto-progress");
element.client = simulate();
element.addEventListener("cto-complete", ({ detail }) => { const status: string = detail.status; });
`,
};
const BAD = {
  "client.ts": [
    "client.track(7);",
    "client.submit({ userId: \"7\" });",
    "tracker.onProgress((event) => event.sequence);",
    "connect({ token: 7 });",
    "connect({ io: () => 7 });",
    "page.jobs[0].jobID;",
    "client.jobs({ status: \"ended\" });",
    "const misspelt: ErrorCode = \"job_not_fund\";",
    "(await client.stats([])).unknown;",
    "client.summary({ limit: 5 });",
  ],
  "react.tsx": [
    "export const wrong = <cto-progress jobs=\"one\" />;",
    "export const useWrong = (id: string): string => useCTOJob(id, ({ progress }) => progress);",
    "export const useWrongQuery = () => useCTOHistory({ status: \"ended\" });",
    "export const wrongClient = <cto-progress client=\"one\" />;",
  ],
  "vue.tsx": ["export const wrong = <cto-progress job={7} />;"],
  "element.ts": ["element.client = 7;"],
};

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

test("no declaration contains any", () => {
  for (const folder of ["types", "declarations"]) {
    for (const [name, text] of Object.entries(declarations(join(here, folder)))) {
      const code = text.replaceAll(/\/\*.*?\*\//gs, "").replaceAll(/"[^"]*"/g, "");
      assert.doesNotMatch(code, /\bany\b/, name);
    }
  }
});

test("the types accept documented use and reject misuse", () => {
  const project = mkdtempSync(join(tmpdir(), "cto-progress-"));
  try {
    const copy = join(project, "node_modules", "cto-progress");
    mkdirSync(copy, { recursive: true });
    for (const name of ["package.json", "src", "types", "declarations"]) cpSync(join(here, name), join(copy, name), { recursive: true });
    for (const name of INSTALLED) symlinkSync(join(installed, name), join(project, "node_modules", name));
    const options = {
      module: "NodeNext", target: "ES2023", lib: ["ES2023", "DOM"], jsx: "react-jsx", strict: true, exactOptionalPropertyTypes: true,
      noEmit: true, types: [], skipLibCheck: true,
    };
    writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions: options, include: ["*.ts", "*.tsx"] }));
    writeFileSync(join(project, "package.json"), '{ "type": "module" }');
    for (const [name, code] of Object.entries(GOOD)) writeFileSync(join(project, name), code);
    assert.equal(errorsOf(project, "--skipLibCheck", "false"), "");
    for (const [name, lines] of Object.entries(BAD)) writeFileSync(join(project, name), `${GOOD[name]}\n${lines.join("\n")}`);
    const output = errorsOf(project);
    for (const [name, lines] of Object.entries(BAD)) {
      const found = new Set([...output.matchAll(/^(.*?)\((\d+)/gm)].filter(([, file]) => file === name).map(([, , line]) => line));
      assert.equal(found.size, lines.length, `${name}: ${output}`);
    }
  } finally {
    rmSync(project, { recursive: true });
  }
});

/** Return the compiler's output for a project: empty if it compiles. */
function errorsOf(project, ...options) {
  try {
    return execFileSync(process.execPath, [tsc, "--project", ".", ...options], { cwd: project, encoding: "utf8", stdio: "pipe" });
  } catch (error) {
    return error.stdout;
  }
}
