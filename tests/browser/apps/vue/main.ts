import { connect } from "cto-progress";
import { provideCTO } from "cto-progress/vue";
import { createApp } from "vue";
import App from "./App.vue";

const query = new URLSearchParams(location.search);
const app = createApp(App, { userId: query.get("user") ?? "demo" });
provideCTO(connect({ url: query.get("url") ?? location.origin }), app);
app.mount("#root");
