import "cto-progress/element";
import { connect, type OperationRequest } from "cto-progress";
import { CTOProvider, useCTOJob, useCTOSubmit } from "cto-progress/react";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

const query = new URLSearchParams(location.search);
const url = query.get("url") ?? location.origin;
const request: OperationRequest = {
  tokenAddress: "So11111111111111111111111111111111111111112",
  userId: query.get("user") ?? "demo", userChatId: 1, mode: "prefunded", buyAmount: 0.1, walletCount: 2,
};

function Job({ jobId }: { jobId: string }) {
  const { progress, events, isPending, error } = useCTOJob(jobId);
  if (isPending) return <p>Loading</p>;
  if (error) return <p role="alert">{error.code}</p>;
  return <p>{events.length} events, {progress.toFixed(0)} %</p>;
}

function App() {
  const { mutate: start, data, error, isPending } = useCTOSubmit();
  return (
    <>
      <button type="button" disabled={isPending} onClick={() => start(request)}>Start an operation</button>
      {error && <p role="alert">{error.message}</p>}
      {data && <Job jobId={data.jobId} />}
      {data && <cto-progress job={data.jobId} url={url} />}
    </>
  );
}

createRoot(document.getElementById("root")!).render(
  <StrictMode><CTOProvider value={connect({ url })}><App /></CTOProvider></StrictMode>,
);
