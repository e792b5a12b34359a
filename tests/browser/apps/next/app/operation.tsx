"use client";
import { connect } from "cto-progress";
import { CTOProvider, useCTOJob, useCTOSubmit } from "cto-progress/react";
import { useState } from "react";

function Job({ jobId }: { jobId: string }) {
  const { progress, events } = useCTOJob(jobId);
  return <p>{events.length} events, {progress.toFixed(0)} %</p>;
}

function Form() {
  const { mutate: start, data, error } = useCTOSubmit();
  const run = () => start({
    tokenAddress: "So11111111111111111111111111111111111111112",
    userId: new URLSearchParams(location.search).get("user") ?? "demo",
    userChatId: 1, mode: "prefunded", buyAmount: 0.1, walletCount: 2,
  });
  return (
    <>
      <button type="button" onClick={run}>Start an operation</button>
      {error && <p role="alert">{error.message}</p>}
      {data && <Job jobId={data.jobId} />}
    </>
  );
}

export function Operation() {
  const [client] = useState(() => connect({ url: addressOf(globalThis.location?.search) }));
  return <CTOProvider value={client}><Form /></CTOProvider>;
}

const addressOf = (search = "") => new URLSearchParams(search).get("url") ?? "http://127.0.0.1:3000";
