// Generated from the gateway's OpenAPI document: run `make types`.
export interface paths {
    "/api/cto/jobs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get: operations["listJobs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        OperationRequest: {
            /** @description The mint address of the token to buy */
            tokenAddress: string;
            /** @description The user whose wallets buy */
            userId: string;
            /** @description The id of the user's Telegram chat */
            userChatId: number;
            /**
             * @description The source of the SOL: the user's funding wallet with `standard`, the buying wallets with `prefunded`
             * @enum {string}
             */
            mode: "standard" | "prefunded";
            /** @description SOL to spend in total, at least 0.00001 per wallet */
            buyAmount: number;
            /** @description The wallets to buy with, instead of `walletCount` */
            wallets?: string[];
            /** @description The number of the user's wallets that buy, instead of `wallets`. Default: 5 */
            walletCount?: number;
            /** @description The platform where the token trades. Default: detected */
            platform?: string;
            /** @description A second user whose room receives the events */
            socketUserId?: string;
            /** @description Allowed price movement in basis points. Default: the platform's strategy */
            slippageBps?: number;
        };
        Created: {
            /** @description The job */
            jobId: string;
            /**
             * @description `waiting`: no worker has claimed the job; `active`: a worker runs it; or how it ended
             * @enum {string}
             */
            status: "active" | "completed" | "failed" | "waiting";
            /** @description The URL of the job's status */
            statusUrl: string;
        };
        Cancelling: {
            /** @description The job */
            jobId: string;
            /**
             * @description `waiting`: no worker has claimed the job; `active`: a worker runs it; or how it ended
             * @enum {string}
             */
            status: "active" | "completed" | "failed" | "waiting";
            /** @description Always true */
            cancelRequested: boolean;
        };
        Stats: {
            /** @description Distinct ids in the request */
            total: number;
            /** @description Jobs with status `waiting` */
            queued: number;
            /** @description Jobs with status `active` */
            active: number;
            /** @description Jobs with status `completed` */
            completed: number;
            /** @description Jobs with status `failed` */
            failed: number;
            /** @description Ids that are not of a job of the caller */
            notFound: number;
            /** @description The average progress of the jobs found, in per cent */
            averageProgress: number;
        };
        ProgressEvent: {
            /**
             * @description Always `cto_operation`
             * @enum {string}
             */
            workerType: "cto_operation";
            /**
             * @description Always 5
             * @enum {integer}
             */
            totalPhases: 5;
            /** @description The job */
            jobId: string;
            /** @description The number of the event within its job: 1, 2, 3 …, without gaps or repeats */
            seq: number;
            /** @description The run of the job: 0 at acceptance, 1 in the first run, +1 for each takeover */
            attempt: number;
            /** @description The mint address of the token, base58 */
            tokenAddress: string;
            /** @description The owner of the job */
            userId: string;
            /** @description The owner's Telegram chat */
            userChatId: number;
            /** @description The phase of the operation, 1 to 5 */
            phase: number;
            /** @description The title of the phase */
            phaseTitle: string;
            /** @description The description of the phase */
            phaseDescription: string;
            /** @description Progress in per cent; never decreases within a job */
            progress: number;
            /**
             * @description `started` in the first event, then `in_progress`; `completed` or `failed` in the last
             * @enum {string}
             */
            status: "completed" | "failed" | "in_progress" | "started";
            /** @description The time of the event, in milliseconds since 1970-01-01 UTC */
            timestamp: number;
            /**
             * @description `standard`: the user's funding wallet pays; `prefunded`: the operation's wallets pay
             * @enum {string}
             */
            mode: "prefunded" | "standard";
            /** @description The platform on which the token trades; `unknown` until phase 3, unless the request named it */
            platform: string;
            /** @description SOL to spend in total */
            buyAmount: number;
            /** @description A second user whose room also receives the events */
            socketUserId?: string;
            /** @description Further values; each is present only when it is known */
            details?: components["schemas"]["Details"];
        };
        Details: {
            /** @description Buys confirmed so far */
            successfulBuys?: number;
            /** @description Buys failed so far */
            failedBuys?: number;
            /** @description Buys sent whose outcome the market does not report */
            unknownBuys?: number;
            /** @description The same for transfers; their wallets buy nothing */
            unknownTransfers?: number;
            /** @description SOL spent so far, fees included */
            totalSpent?: number;
            /** @description Wallets that have bought */
            walletsUsed?: number;
            /** @description Planned buys, from phase 4 on */
            plannedBuys?: number;
            /** @description The addresses of the planned wallets, in order; in the first event of phase 4 */
            plannedWallets?: string[];
            /** @description The addresses of the wallets whose next transfer or buy begins after this event */
            startingWallets?: string[];
            /**
             * @description In the last event. `full`: every planned buy was confirmed; `partial`: some were confirmed, the others failed or were not made; `none`: nothing was bought; `unknown`: the outcome of a transfer or buy is not known
             * @enum {string}
             */
            outcome?: "full" | "none" | "partial" | "unknown";
            /** @description In the last event: whether an operator had to review the job when it ended */
            needsReview?: boolean;
            /** @description The reason for the job's failure, as text */
            error?: string;
            /** @description The reason for the job's failure, machine-readable and stable */
            errorCode?: string;
            /** @description The signatures of the transactions confirmed so far */
            transactionSignatures?: string[];
            /** @description The remaining time in milliseconds, estimated from earlier runs of this mode and platform */
            estimatedTimeRemaining?: number;
            /** @description The current activity, as text */
            currentOperation?: string;
            /** @description The transfer or buy that ended before this event */
            lastStep?: components["schemas"]["StepResult"];
        };
        StepResult: {
            /**
             * @description `transfer`: SOL to a wallet of the operation; `buy`: a buy with it
             * @enum {string}
             */
            kind: "buy" | "transfer";
            /** @description The address of the operation's wallet */
            wallet: string;
            /**
             * @description The outcome of the step
             * @enum {string}
             */
            status: "confirmed" | "failed" | "unknown";
            /** @description The signature of the transaction; null if none was sent */
            signature: string | null;
            /** @description SOL spent, fees included */
            spent: number;
            /** @description Tokens bought, in base units */
            tokens: number;
            /** @description The reason for a failure, machine-readable */
            errorCode?: string;
            /** @description The reason for a failure, as text */
            error?: string;
        };
        Health: {
            /**
             * @description `alive` from `/healthz`, `ready` from `/readyz`
             * @enum {string}
             */
            status: "alive" | "ready";
        };
        WalletResult: {
            /** @description The address of the wallet */
            wallet: string;
            /**
             * @description The state of the transfer to the wallet; not with mode `prefunded`
             * @enum {string}
             */
            transfer?: "confirmed" | "failed" | "not_started" | "unknown";
            /**
             * @description The state of its buys; `partial`: some of several were confirmed
             * @enum {string}
             */
            buy: "confirmed" | "failed" | "not_started" | "partial" | "unknown";
            /** @description Buys planned with the wallet */
            plannedBuys: number;
            /** @description Confirmed buys with the wallet */
            successfulBuys: number;
            /** @description SOL spent, fees included */
            spent: number;
            /** @description Tokens bought, in base units */
            tokens: number;
            /** @description The reason for its first failed step, machine-readable */
            errorCode?: string;
            /** @description The reason for its first failed step, as text */
            error?: string;
        };
        OperationResult: {
            /** @description Whether at least one buy was confirmed */
            success: boolean;
            /**
             * @description `full`: every planned buy was confirmed; `partial`: some were confirmed, the others failed or were not made; `none`: nothing was bought; `unknown`: the outcome of a transfer or buy is not known
             * @enum {string}
             */
            outcome?: "full" | "none" | "partial" | "unknown";
            /** @description Whether an operator had to review the job when it ended */
            needsReview?: boolean;
            /**
             * @description `standard`: the user's funding wallet pays; `prefunded`: the operation's wallets pay
             * @enum {string}
             */
            mode: "prefunded" | "standard";
            /** @description The platform on which the token trades; empty if it was not detected */
            platform: string;
            /** @description SOL that was to be spent in total */
            buyAmount: number;
            /** @description Planned buys; 0 if the job ended before its plan was made */
            plannedBuys?: number;
            /** @description Confirmed buys */
            successfulBuys: number;
            /** @description Failed buys */
            failedBuys: number;
            /** @description Buys whose outcome is not known */
            unknownBuys: number;
            /** @description Transfers whose outcome is not known */
            unknownTransfers: number;
            /** @description SOL spent, fees included */
            totalSpent: number;
            /** @description Tokens bought, in base units */
            tokensBought: number;
            /** @description Wallets that have bought */
            walletsUsed: number;
            /** @description The signatures of the confirmed transactions */
            transactionSignatures: string[];
            /** @description The duration of the last run, in milliseconds */
            durationMs: number;
            /** @description Every transfer and buy, in order */
            steps: components["schemas"]["StepResult"][];
            /** @description Every planned wallet, in order */
            wallets?: components["schemas"]["WalletResult"][];
            /** @description The reason for the job's failure, machine-readable */
            errorCode?: string;
            /** @description The reason for the job's failure, as text */
            error?: string;
        };
        JobStatus: {
            /** @description The job */
            jobId: string;
            /**
             * @description `waiting`: no worker has claimed the job; `active`: a worker runs it; or how it ended
             * @enum {string}
             */
            status: "active" | "completed" | "failed" | "waiting";
            /** @description null until the job ends. `full`: every planned buy was confirmed; `partial`: some were confirmed, the others failed or were not made; `none`: nothing was bought; `unknown`: the outcome of a transfer or buy is not known */
            outcome: ("full" | "none" | "partial" | "unknown") | null;
            /** @description Whether an operator must review the job now */
            needsReview: boolean;
            /** @description All events of the job, oldest first */
            progressEvents: components["schemas"]["ProgressEvent"][];
            /** @description The latest event */
            latestProgress: components["schemas"]["ProgressEvent"];
            /** @description The result; null until the job ends */
            operationResult: components["schemas"]["OperationResult"] | null;
            /** @description The phase of the latest event */
            currentPhase: number;
            /** @description The progress of the latest event, in per cent */
            currentProgress: number;
        };
        Events: {
            /** @description The job */
            jobId: string;
            /** @description The events, oldest first */
            events: components["schemas"]["ProgressEvent"][];
        };
        JobSummary: {
            /** @description The job */
            jobId: string;
            /**
             * @description `waiting`: no worker has claimed the job; `active`: a worker runs it; or how it ended
             * @enum {string}
             */
            status: "active" | "completed" | "failed" | "waiting";
            /** @description null until the job ends. `full`: every planned buy was confirmed; `partial`: some were confirmed, the others failed or were not made; `none`: nothing was bought; `unknown`: the outcome of a transfer or buy is not known */
            outcome: ("full" | "none" | "partial" | "unknown") | null;
            /** @description Whether an operator must review the job now */
            needsReview: boolean;
            /** @description The time of acceptance, in milliseconds since 1970-01-01 UTC */
            createdAt: number;
            /** @description The phase of the latest event */
            currentPhase: number;
            /** @description The progress of the latest event, in per cent */
            currentProgress: number;
            /** @description The mint address of the token, base58 */
            tokenAddress: string;
            /** @description The owner of the job */
            userId: string;
            /**
             * @description `standard`: the user's funding wallet pays; `prefunded`: the operation's wallets pay
             * @enum {string}
             */
            mode: "prefunded" | "standard";
            /** @description The platform on which the token trades; `unknown` until phase 3, unless the request named it */
            platform: string;
            /** @description SOL to spend in total */
            buyAmount: number;
            /** @description The latest event */
            latestProgress: components["schemas"]["ProgressEvent"];
        };
        Page: {
            /** @description The jobs, newest first */
            jobs: components["schemas"]["JobSummary"][];
            /** @description The `cursor` of the next page; null on the last page */
            nextCursor: string | null;
        };
        ErrorDetails: {
            /** @description The messages for each invalid field */
            fields?: Record<string, unknown>;
        };
        Error: {
            /**
             * @description Machine-readable and stable; later versions may add codes
             * @enum {string}
             */
            code: "invalid_json" | "invalid_request" | "invalid_job_id" | "invalid_query" | "invalid_handshake" | "invalid_idempotency_key" | "jsonp_not_supported" | "bad_request" | "unauthorized" | "invalid_token" | "token_expired" | "token_revoked" | "forbidden" | "user_mismatch" | "origin_not_allowed" | "host_not_allowed" | "job_not_found" | "not_found" | "method_not_allowed" | "idempotency_conflict" | "job_ended" | "body_too_large" | "uri_too_long" | "unsupported_media_type" | "upgrade_required" | "rate_limited" | "too_many_connections" | "request_header_fields_too_large" | "internal_error" | "not_implemented" | "store_unavailable" | "keys_unavailable" | "busy" | "going_away" | "http_version_not_supported" | "invalid_room" | "too_many_rooms" | "invalid_resume" | "gap" | "invalid_message" | "protocol_error" | "unsupported_data" | "invalid_text" | "too_many_messages" | "message_too_large";
            /** @description The problem and the remedy, as text */
            message: string;
            /** @description Further values for a malformed request */
            details?: components["schemas"]["ErrorDetails"];
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    listJobs: {
        parameters: {
            query?: {
                /**
                 * @description Only jobs with this status. `needs_review`: ended jobs that an operator must review
                 * @example failed
                 */
                status?: "waiting" | "active" | "completed" | "failed" | "needs_review";
                /**
                 * @description The maximum number of jobs
                 * @example 50
                 */
                limit?: number;
                /**
                 * @description The `nextCursor` of the previous page
                 * @example 7
                 */
                cursor?: number;
                /**
                 * @description The owner of the jobs. Default: the caller; for operators, all users
                 * @example 7
                 */
                userId?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: never;
    };
}
