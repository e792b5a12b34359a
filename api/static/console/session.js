// The access token of this tab, and the client that uses it. The token is kept until the tab is closed.
import { claimsOf, connect } from "/client/index.js";
import { Rest } from "/client/rest.js";
import { Token } from "/client/token.js";
import { AUTH_REQUIRED } from "/static/console/config.js";
import { Observable } from "/static/console/observable.js";

const TOKEN = "cto-token";
const SIGN_IN_CODES = new Set(["unauthorized", "invalid_token", "token_expired", "token_revoked"]);

/** REST requests; `onResponse` is called at each successful response. */
class HeardRest extends Rest {
  onResponse = () => {};

  async fetch(...request) {
    const response = await super.fetch(...request);
    this.onResponse();
    return response;
  }
}

/** One caller's connection to the gateway: requests, live events, and the state of both. */
export class Session {
  #token = sessionStorage.getItem(TOKEN) ?? undefined;
  #claims = claimsOf(this.#token);

  constructor() {
    /** Requests to the REST API. */
    this.rest = new HeardRest(location.origin, new Token(this.#token));
    this.rest.onResponse = this.#heard;
    this.client = connect({ token: this.#token });
    /** `{ state, via, error, heardMs }`: the client's connection, and the time of the last event or response, or null before it was first live. */
    this.connection = new Observable({ state: "connecting", via: null, error: null, heardMs: null });
    this.client.onConnection((connection) => this.#show(connection));
    /** Live events of all operations that the caller may read. */
    this.events = this.user ? this.client.trackUser(this.user) : this.client.trackAll();
    this.events.onProgress(this.#heard);
    addEventListener("offline", this.#onOffline);
  }

  /** The name and role of the caller, or null if no sign-in is required. */
  get caller() {
    return AUTH_REQUIRED && this.#token ? { name: this.#claims.sub, role: this.#claims.role ?? "user" } : null;
  }

  /** The id of a caller who may see only their own operations; otherwise undefined. */
  get user() {
    return this.#claims.role ? undefined : this.#claims.sub;
  }

  /** Whether the caller may see the state of the system. */
  get isOperator() {
    return !AUTH_REQUIRED || this.#claims.role === "admin";
  }

  get hasToken() {
    return this.#token !== undefined;
  }

  /** Whether the gateway requires another token. */
  get isSignedOut() {
    const { state, error } = this.connection.value;
    return state === "refused" && SIGN_IN_CODES.has(error?.code ?? "");
  }

  close() {
    removeEventListener("offline", this.#onOffline);
    this.client.close();
  }

  /** Keep a token for the next session. Throws if the text is not one. */
  static signIn(text) {
    const token = text.trim();
    new Token(token); // it checks the text
    sessionStorage.setItem(TOKEN, token);
  }

  static signOut() {
    sessionStorage.clear(); // also clears the events that are kept for a reload
  }

  #show({ state, via, error }) {
    const heardMs = state === "live" ? Date.now() : this.connection.value.heardMs;
    this.connection.set({ state, via, error, heardMs });
  }

  /** A lost gateway is noticed after seconds of silence, so the change of the state is no sign of when it was heard last. */
  #heard = () => {
    const { value } = this.connection;
    if (value.heardMs !== null) value.heardMs = Date.now(); // nothing is drawn: pages show the time while it stands still
  };

  #onOffline = () => this.#show({ state: "waiting", via: null, error: null });
}
