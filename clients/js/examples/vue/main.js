// Vue. Bundle with `npm run examples`, serve clients/js/examples/dist and open /vue/?url=http://127.0.0.1:3000
// It uses render functions, so it needs no compiler. In a .vue file this is the <template>.
import { computed, createApp, h, shallowRef } from "vue";
import { io } from "socket.io-client";
import { outcomeOf } from "cto-progress";
import { cto, useCTOBatch, useCTOClient, useCTOConnection, useCTOJob } from "cto-progress/vue";
import { client, keepJob, keptJobs, request } from "../client.js";

const Job = {
  props: ["jobId"],
  setup(props) {
    const { progress, latest, details, error } = useCTOJob(() => props.jobId);
    const now = computed(() => error.value?.message ?? details.value.error ?? outcomeOf(latest.value) ?? details.value.currentOperation);
    return () => h("div", { class: "job" }, [
      h("strong", `${progress.value.toFixed(0)} % ${latest.value?.phaseTitle ?? ""}`),
      h("progress", { max: 100, value: progress.value, "aria-label": `Progress of ${props.jobId}` }),
      h("span", now.value),
    ]);
  },
};

const Page = {
  setup() {
    const client = useCTOClient();
    const jobIds = shallowRef(keptJobs().reverse());
    const error = shallowRef("");
    const { stats, done } = useCTOBatch(jobIds);
    const connection = useCTOConnection();
    const problem = computed(() => error.value || connection.value.error?.message);
    const start = () => client.submit(request()).then(
      ({ jobId }) => {
        keepJob(jobId);
        jobIds.value = [jobId, ...jobIds.value];
      },
      (failure) => { error.value = failure.message; },
    );
    return () => [
      h("h1", "Vue"),
      h("button", { type: "button", onClick: start }, "Start an operation"),
      h("p", { class: "batch", role: "status" },
        `${stats.value.completed + stats.value.failed} of ${stats.value.total} ended, ${stats.value.byOutcome.full} in full, `
        + `${stats.value.totalSpent.toFixed(4)} SOL spent${done.value ? ", all done" : ""} · ${connection.value.state}`),
      problem.value && h("p", { class: "error", role: "alert" }, problem.value),
      ...jobIds.value.map((jobId) => h(Job, { key: jobId, jobId })),
    ];
  },
};

createApp(Page).use(cto(client(io))).mount("#root");
