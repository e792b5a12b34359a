/**
 * Vue composables.
 *
 * @module
 */
export type Client = import("./client.js").Client;
export type Snapshot = import("./tracker.js").Snapshot;
export type Selection = import("./selector.js").Selection;
export type TrackedKey = import("./selector.js").Tracked & {
    key: string;
    snapshot: Snapshot;
};
export type Reactive<T> = import("vue").MaybeRefOrGetter<T>;
/** Return a plugin that provides the client to all components: `app.use(cto(connect(…)))`. @param {Client} client */
export declare const cto: (client: Client) => {
    install: (/** @type {import("vue").App} */ app: import("vue").App) => void;
};
/**
 * Provide the client to the components inside this one, but not to this one itself; with `app`, to all components.
 *
 * @param {Client} client
 * @param {import("vue").App} [app]
 */
export declare function provideCTO(client: Client, app?: import("vue").App): void;
/** Return the provided client. @returns {Client} */
export declare function useCTOClient(): Client;
/** Return the state of the client's connection. */
export declare function useCTOConnection(): import("vue").ShallowRef<import("./types.js").Connection, import("./types.js").Connection>;
/**
 * Track one job, with all its events. Without a `jobId`, nothing is tracked.
 *
 * @param {Reactive<string | null | undefined>} jobId
 */
export declare function useCTOJob(jobId: Reactive<string | null | undefined>): {
    latest: import("vue").ComputedRef<{
        workerType: "cto_operation";
        totalPhases: 5;
        jobId: string;
        seq: number;
        attempt: number;
        tokenAddress: string;
        userId: string;
        userChatId: number;
        phase: number;
        phaseTitle: string;
        phaseDescription: string;
        progress: number;
        status: "completed" | "failed" | "in_progress" | "started";
        timestamp: number;
        mode: "prefunded" | "standard";
        platform: string;
        buyAmount: number;
        socketUserId?: string;
        details?: import("../declarations/openapi.js").components["schemas"]["Details"];
    } | null>;
    gap: import("vue").ComputedRef<import("./listeners.js").Gap | null>;
    isPending: import("vue").ComputedRef<boolean>;
    events: import("vue").ComputedRef<readonly {
        workerType: "cto_operation";
        totalPhases: 5;
        jobId: string;
        seq: number;
        attempt: number;
        tokenAddress: string;
        userId: string;
        userChatId: number;
        phase: number;
        phaseTitle: string;
        phaseDescription: string;
        progress: number;
        status: "completed" | "failed" | "in_progress" | "started";
        timestamp: number;
        mode: "prefunded" | "standard";
        platform: string;
        buyAmount: number;
        socketUserId?: string;
        details?: import("../declarations/openapi.js").components["schemas"]["Details"];
    }[]>;
    ended: import("vue").ComputedRef<boolean>;
    error: import("vue").ComputedRef<import("./errors.js").CTOError | null>;
    progress: import("vue").ComputedRef<number>;
    phase: import("vue").ComputedRef<number>;
    status: import("vue").ComputedRef<"completed" | "failed" | "in_progress" | "started" | null>;
    details: import("vue").ComputedRef<{
        successfulBuys?: number;
        failedBuys?: number;
        unknownBuys?: number;
        unknownTransfers?: number;
        totalSpent?: number;
        walletsUsed?: number;
        plannedBuys?: number;
        plannedWallets?: string[];
        startingWallets?: string[];
        outcome?: "full" | "none" | "partial" | "unknown";
        needsReview?: boolean;
        error?: string;
        errorCode?: string;
        transactionSignatures?: string[];
        estimatedTimeRemaining?: number;
        currentOperation?: string;
        lastStep?: import("../declarations/openapi.js").components["schemas"]["StepResult"];
        traceId?: string;
    }>;
};
/** Track several jobs, all jobs of a user, or (admins) all jobs, with the latest event of each. @param {Reactive<Selection | null>} selection */
export declare function useCTOJobs(selection: Reactive<Selection | null>): {
    jobs: import("vue").ComputedRef<readonly import("./job.js").JobView[]>;
    isPending: import("vue").ComputedRef<boolean>;
    stats: import("vue").ComputedRef<import("./stats.js").Stats>;
    error: import("vue").ComputedRef<import("./errors.js").CTOError | null>;
};
/** Track several jobs as one batch: their counts, and whether all have ended. @param {Reactive<readonly string[]>} jobIds */
export declare function useCTOBatch(jobIds: Reactive<readonly string[]>): {
    jobs: import("vue").ComputedRef<readonly import("./job.js").JobView[]>;
    isPending: import("vue").ComputedRef<boolean>;
    stats: import("vue").ComputedRef<import("./stats.js").Stats>;
    error: import("vue").ComputedRef<import("./errors.js").CTOError | null>;
    done: import("vue").ComputedRef<boolean>;
};
/**
 * Return a function that starts operations, and the state of its latest call. `mutate` reports an error only in the state;
 * `mutateAsync` returns a promise. A request that failed starts no second operation when it is sent again.
 */
export declare const useCTOSubmit: () => {
    status: import("vue").ComputedRef<"error" | "idle" | "pending" | "success">;
    data: import("vue").ComputedRef<{
        jobId: string;
        status: "active" | "completed" | "failed" | "waiting";
        statusUrl: string;
    } | null>;
    error: import("vue").ComputedRef<import("./errors.js").CTOError | null>;
    isPending: import("vue").ComputedRef<boolean>;
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
export declare const useCTOCancel: () => {
    status: import("vue").ComputedRef<"error" | "idle" | "pending" | "success">;
    data: import("vue").ComputedRef<{
        jobId: string;
        status: "active" | "completed" | "failed" | "waiting";
        cancelRequested: boolean;
    } | null>;
    error: import("vue").ComputedRef<import("./errors.js").CTOError | null>;
    isPending: import("vue").ComputedRef<boolean>;
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
 * @param {Reactive<import("./job-history.js").HistoryQuery>} [query]
 */
export declare function useCTOHistory(query?: Reactive<import("./job-history.js").HistoryQuery>): {
    jobs: import("vue").ComputedRef<readonly {
        jobId: string;
        status: "active" | "completed" | "failed" | "waiting";
        outcome: ("full" | "none" | "partial" | "unknown") | null;
        needsReview: boolean;
        createdAt: number;
        endedAt: number | null;
        currentPhase: number;
        currentProgress: number;
        tokenAddress: string;
        userId: string;
        mode: "prefunded" | "standard";
        platform: string;
        buyAmount: number;
        plannedBuys: number | null;
        successfulBuys: number;
        failedBuys: number;
        totalSpent: number;
        errorCode: string | null;
        parentJobId: null;
        retriedBy: null;
        latestProgress: import("../declarations/openapi.js").components["schemas"]["ProgressEvent"];
    }[]>;
    error: import("vue").ComputedRef<import("./errors.js").CTOError | null>;
    isPending: import("vue").ComputedRef<boolean>;
    isFetching: import("vue").ComputedRef<boolean>;
    hasNextPage: import("vue").ComputedRef<boolean>;
    fetchNextPage: () => Promise<void>;
    refetch: () => Promise<void>;
};
