// React. Bundle with `npm run examples`, serve clients/js/examples/dist and open /react/?url=http://127.0.0.1:3000
import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { io } from "socket.io-client";
import { outcomeOf } from "cto-progress";
import { CTOProvider, useCTOBatch, useCTOClient, useCTOConnection, useCTOJob } from "cto-progress/react";
import { client, keepJob, keptJobs, request } from "../client.js";

function App() {
  const client = useCTOClient();
  const [jobIds, setJobIds] = useState(() => keptJobs().reverse());
  const [error, setError] = useState("");
  const connection = useCTOConnection();
  const problem = error || connection.error?.message;
  const start = () => client.submit(request()).then(
    ({ jobId }) => {
      keepJob(jobId);
      setJobIds((others) => [jobId, ...others]);
    },
    (failure) => setError(failure.message),
  );
  return (
    <>
      <h1>React</h1>
      <button type="button" onClick={start}>Start an operation</button>
      <Batch jobIds={jobIds} />
      {problem && <p className="error" role="alert">{problem}</p>}
      {jobIds.map((jobId) => <Job key={jobId} jobId={jobId} />)}
    </>
  );
}

function Batch({ jobIds }) {
  const { stats, done } = useCTOBatch(jobIds);
  const { state, via } = useCTOConnection();
  return (
    <p className="batch" role="status">
      {stats.completed + stats.failed} of {stats.total} ended, {stats.byOutcome.full} in full, {stats.totalSpent.toFixed(4)} SOL spent{done && ", all done"} · {state} {via}
    </p>
  );
}

function Job({ jobId }) {
  const { progress, latest, details, error } = useCTOJob(jobId);
  return (
    <div className="job">
      <strong>{progress.toFixed(0)} % {latest?.phaseTitle}</strong>
      <progress max="100" value={progress} aria-label={`Progress of ${jobId}`} />
      <span>{error?.message ?? details.error ?? outcomeOf(latest) ?? details.currentOperation}</span>
    </div>
  );
}

createRoot(document.getElementById("root")).render(
  <StrictMode>
    <CTOProvider value={client(io)}><App /></CTOProvider>
  </StrictMode>,
);
