// React Native; here in a browser, with react-native-web: `npm run examples`, serve clients/js/examples/dist and open
// /react-native/?url=http://127.0.0.1:3000. In an app this is App.js, without the last two lines.
import { useState } from "react";
import { AppRegistry, AppState, Pressable, StyleSheet, Text, View } from "react-native";
import { io } from "socket.io-client";
import { outcomeOf } from "cto-progress";
import { CTOProvider, connectNative, useCTOBatch, useCTOClient, useCTOConnection, useCTOJob } from "cto-progress/react-native";
import { keepJob, keptJobs, request } from "../client.js";

const query = new URLSearchParams(location.search);
const client = connectNative({
  url: query.get("url") ?? location.origin, // in an app, a setting
  token: query.get("token") ?? undefined,
  io,
  AppState,
});

function App() {
  const client = useCTOClient();
  const [jobIds, setJobIds] = useState(() => keptJobs().reverse());
  const { stats } = useCTOBatch(jobIds);
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
    <View style={styles.page}>
      <Text role="heading" aria-level={1} style={styles.title}>React Native</Text>
      <Pressable role="button" style={styles.button} onPress={start}><Text style={styles.label}>Start an operation</Text></Pressable>
      <Text style={styles.text}>
        {stats.completed + stats.failed} of {stats.total} ended, {stats.byOutcome.full} in full, {stats.totalSpent.toFixed(4)} SOL spent · {connection.state}
      </Text>
      {problem && <Text role="alert" style={styles.error}>{problem}</Text>}
      {jobIds.map((jobId) => <Job key={jobId} jobId={jobId} />)}
    </View>
  );
}

function Job({ jobId }) {
  const { progress, latest, details, error } = useCTOJob(jobId);
  return (
    <View style={styles.job}>
      <Text style={styles.strong}>{progress.toFixed(0)} % {latest?.phaseTitle}</Text>
      <View role="progressbar" aria-label={`Progress of ${jobId}`} aria-valuenow={progress} style={styles.track}>
        <View style={[styles.fill, { width: `${progress}%` }]} />
      </View>
      <Text style={styles.text}>{error?.message ?? details.error ?? outcomeOf(latest) ?? details.currentOperation}</Text>
    </View>
  );
}

const styles = StyleSheet.create({
  page: { gap: 16, padding: 16, backgroundColor: "#f5f6f9" },
  title: { fontSize: 24, fontWeight: "700" },
  button: { alignSelf: "flex-start", paddingVertical: 12, paddingHorizontal: 18, borderRadius: 10, backgroundColor: "#4f5bd5" },
  label: { color: "#fff", fontSize: 16, fontWeight: "600" },
  job: { gap: 8, padding: 16, borderRadius: 12, backgroundColor: "#fff" },
  strong: { fontSize: 16, fontWeight: "600" },
  text: { fontSize: 15, color: "#3c4250" },
  error: { fontSize: 15, color: "#b3261e" },
  track: { height: 8, borderRadius: 8, overflow: "hidden", backgroundColor: "#d9dce3" },
  fill: { height: 8, borderRadius: 8, backgroundColor: "#4f5bd5" },
});

const Root = () => <CTOProvider value={client}><App /></CTOProvider>;
AppRegistry.registerComponent("App", () => Root);
AppRegistry.runApplication("App", { rootTag: document.getElementById("root") });
