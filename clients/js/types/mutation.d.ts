import { Observable } from "./observable.js";
export type CTOError = import("./errors.js").CTOError;
export type OperationRequest = import("./types.js").OperationRequest;
export type CreatedJob = import("./types.js").CreatedJob;
export type MutationState<Data> = {
    status: "idle" | "pending" | "success" | "error";
    data: Data | null;
    error: CTOError | null;
};
/**
 * A call that changes something on the gateway, and its state.
 *
 * @template Variables, Data
 * @extends {Observable<MutationState<Data>>}
 */
export declare class Mutation<Variables, Data> extends Observable<MutationState<Data>> {
    #private;
    /** @param {(variables: Variables) => Promise<Data>} run */
    constructor(run: (variables: Variables) => Promise<Data>);
    /** Start a call. A rejection is only in the state. @param {Variables} variables */
    mutate: (variables: Variables) => undefined;
    /**
     * Start a call, and return its result. While a call with the same argument runs, e.g. after a double click, its promise is returned.
     *
     * @param {Variables} variables
     * @returns {Promise<Data>}
     */
    mutateAsync: (variables: Variables) => Promise<Data>;
    /** Forget the latest call. It is not stopped, but its result is not shown. */
    reset: () => void;
}
/**
 * Return a mutation that starts operations. A request that failed, and is sent again without a change, keeps its idempotency key: if
 * the gateway had accepted it, e.g. before the connection was lost, it starts no second operation.
 *
 * @param {import("./client.js").Client} client
 * @returns {Mutation<OperationRequest, CreatedJob>}
 */
export declare function submission(client: import("./client.js").Client): Mutation<OperationRequest, CreatedJob>;
/** Return a mutation that cancels jobs. @param {import("./client.js").Client} client @returns {Mutation<string, import("./types.js").CancelRequested>} */
export declare const cancellation: (client: import("./client.js").Client) => Mutation<string, import("./types.js").CancelRequested>;
