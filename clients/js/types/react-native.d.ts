/**
 * The React hooks, and a client for apps, which have no tabs and are suspended in the background.
 *
 * @module
 */
export * from "./react.js";
/**
 * Create a client for an app. The parts of React Native are arguments, so this module does not import it.
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
