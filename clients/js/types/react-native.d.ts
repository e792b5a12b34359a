/**
 * React's hooks, and a client for an app: it has no tabs, and sleeps.
 *
 * @module
 */
export * from "./react.js";
/**
 * Connect from an app. What React Native has is passed in, so that this needs none of it.
 *
 * @param {import("./client.js").Options & { url: string, AppState?: AppStateLike }} options `AppState` is React Native's;
 *   `storage` may be AsyncStorage
 */
export declare function connectNative({ AppState, storage, ...options }: import("./client.js").Options & {
    url: string;
    AppState?: AppStateLike;
}): import("./client.js").Client;
export type AppStateLike = {
    addEventListener: (type: "change", listener: (state: string) => void) => {
        remove: () => void;
    };
};
/**
 * @typedef {object} AppStateLike
 * @property {(type: "change", listener: (state: string) => void) => { remove: () => void }} addEventListener
 */
