import { connect } from "cto-progress";
import { cto } from "cto-progress/vue";
import { createApp } from "vue";
import App from "./App.vue";

const query = new URLSearchParams(location.search);
const client = connect({ url: query.get("url") ?? location.origin });
createApp(App, { userId: query.get("user") ?? "demo" }).use(cto(client)).mount("#app");
