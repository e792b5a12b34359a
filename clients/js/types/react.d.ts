/**
 * React hooks. They use no browser API, so they also work in React Native.
 *
 * @module
 */
export type Client = import("./client.js").Client;
export type Tracker = import("./tracker.js").Tracker;
export type Snapshot = import("./tracker.js").Snapshot;
export type JobView = import("./job.js").JobView;
export type Selection = import("./selector.js").Selection;
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
 * Track one job, with all its events. Without a `jobId`, nothing is tracked.
 *
 * @param {string | null | undefined} jobId
 */
export declare function useCTOJob(jobId: string | null | undefined): {
    latest: {
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
    } | null;
    events: readonly {
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
    }[];
    ended: boolean;
    error: import("./errors.js").CTOError | null;
    gap: import("./listeners.js").Gap | null;
    progress: number;
    phase: number;
    status: "completed" | "failed" | "in_progress" | "started" | null;
    details: {
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
    };
};
/**
 * Track several jobs, all jobs of a user, or (admins) all jobs, with the latest event of each.
 *
 * @param {Selection | null} selection
 * @returns {Snapshot & { stats: import("./stats.js").Stats }}
 */
export declare function useCTOJobs(selection: Selection | null): Snapshot & {
    stats: import("./stats.js").Stats;
};
/**
 * Track several jobs as one batch: their counts, and whether all have ended.
 *
 * @param {readonly string[]} jobIds
 */
export declare function useCTOBatch(jobIds: readonly string[]): {
    jobs: readonly import("./job.js").JobView[];
    stats: import("./stats.js").Stats;
    error: import("./errors.js").CTOError | null;
    done: boolean;
};
export type Gap = import("./tracker.js").Gap;
export type Tracked = {
    client: Client;
    key: string;
    tracker: Tracker | null;
    gap: Gap | null;
};
