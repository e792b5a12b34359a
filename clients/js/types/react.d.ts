/**
 * React hooks. They use no browser API, so they also work in React Native.
 *
 * @module
 */
export type Client = import("./client.js").Client;
export type Snapshot = import("./tracker.js").Snapshot;
export type JobView = import("./job.js").JobView;
export type JobState = import("./selector.js").JobState;
export type Selection = import("./selector.js").Selection;
export type JobsState = Snapshot & {
    isPending: boolean;
    stats: import("./stats.js").Stats;
};
/** Provide the client to the components inside. @param {{ value: Client, children?: import("react").ReactNode }} props */
export declare const CTOProvider: ({ value, children }: {
    value: Client;
    children?: import("react").ReactNode;
}) => import("react").FunctionComponentElement<import("react").ProviderProps<import("./client.js").Client | null>>;
/** Return the client of the nearest `CTOProvider`. @returns {Client} */
export declare function useCTOClient(): Client;
/** Return the state of the client's connection. @returns {import("./types.js").Connection} */
export declare function useCTOConnection(): import("./types.js").Connection;
/**
 * Track one job, with all its events. Without a `jobId`, nothing is tracked. With `select`, the hook returns the selected value,
 * and the component renders only when that value changes.
 *
 * @template [T=JobState]
 * @param {string | null | undefined} jobId
 * @param {(job: JobState) => T} [select]
 * @returns {T}
 */
export declare function useCTOJob<T = JobState>(jobId: string | null | undefined, select?: (job: JobState) => T): T;
/**
 * Track several jobs, all jobs of a user, or (admins) all jobs, with the latest event of each. With `select`, the hook returns
 * the selected value, and the component renders only when that value changes.
 *
 * @template [T=JobsState]
 * @param {Selection | null} selection
 * @param {(jobs: JobsState) => T} [select]
 * @returns {T}
 */
export declare function useCTOJobs<T = JobsState>(selection: Selection | null, select?: (jobs: JobsState) => T): T;
/**
 * Track several jobs as one batch: their counts, and whether all have ended.
 *
 * @param {readonly string[]} jobIds
 */
export declare function useCTOBatch(jobIds: readonly string[]): {
    jobs: readonly import("./tracker.js").JobView[];
    error: import("./tracker.js").CTOError | null;
    isPending: boolean;
    stats: import("./stats.js").Stats;
    done: boolean;
};
/**
 * Return a function that starts operations, and the state of its latest call. `mutate` reports an error only in the state;
 * `mutateAsync` returns a promise. A request that failed starts no second operation when it is sent again.
 */
export declare function useCTOSubmit(): {
    status: "idle" | "pending" | "success" | "error";
    data: {
        jobId: string;
        status: "active" | "completed" | "failed" | "waiting";
        statusUrl: string;
    } | null;
    error: import("./mutation.js").CTOError | null;
    isPending: boolean;
    mutate: (variables: {
        tokenAddress: string;
        userId: string;
        userChatId: number;
        mode: "standard" | "prefunded";
        buyAmount: number;
        wallets?: string[];
        walletCount?: number;
        platform?: string;
        socketUserId?: string;
        slippageBps?: number;
    }) => undefined;
    mutateAsync: (variables: {
        tokenAddress: string;
        userId: string;
        userChatId: number;
        mode: "standard" | "prefunded";
        buyAmount: number;
        wallets?: string[];
        walletCount?: number;
        platform?: string;
        socketUserId?: string;
        slippageBps?: number;
    }) => Promise<{
        jobId: string;
        status: "active" | "completed" | "failed" | "waiting";
        statusUrl: string;
    }>;
    reset: () => void;
};
/** Return a function that cancels a job by its id, and the state of its latest call. */
export declare function useCTOCancel(): {
    status: "idle" | "pending" | "success" | "error";
    data: {
        jobId: string;
        status: "active" | "completed" | "failed" | "waiting";
        cancelRequested: boolean;
    } | null;
    error: import("./mutation.js").CTOError | null;
    isPending: boolean;
    mutate: (variables: string) => undefined;
    mutateAsync: (variables: string) => Promise<{
        jobId: string;
        status: "active" | "completed" | "failed" | "waiting";
        cancelRequested: boolean;
    }>;
    reset: () => void;
};
/**
 * List jobs, newest first, page by page. The list is not live: call `refetch` to update it.
 *
 * @param {import("./job-history.js").HistoryQuery} [query]
 */
export declare function useCTOHistory(query?: import("./job-history.js").HistoryQuery): {
    jobs: readonly import("./job-history.js").JobSummary[];
    error: import("./job-history.js").CTOError | null;
    isPending: boolean;
    isFetching: boolean;
    hasNextPage: boolean;
    fetchNextPage: () => Promise<void>;
    refetch: () => Promise<void>;
};
export type Gap = import("./listeners.js").Gap;
export type TrackedKey = import("./selector.js").Tracked & {
    client: Client;
    key: string;
};
export type TrackedState = {
    snapshot: Snapshot;
    gap: Gap | null;
    isPending: boolean;
};
