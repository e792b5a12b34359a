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
        Resolution: {
            /** @description The unknown intent. Without it, the job leaves the list of jobs that need review; it must not have an unknown intent */
            intentId?: string;
            /** @description Whether it was executed. This cannot be undone */
            executed?: boolean;
            /** @description SOL spent, fees included. Default: 0 */
            spent?: number;
            /** @description Tokens that an executed buy received, in base units. Default: 0 */
            tokens?: number;
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
        ResolvedStep: {
            /** @description The id of the step */
            intentId: string;
            /** @description `transfer` or `buy` */
            kind: string;
            /** @description The address of the operation's wallet */
            wallet: string;
            /** @description The signature of the transaction */
            signature: string;
            /** @description Whether it was executed */
            executed: boolean;
            /** @description SOL spent, fees included */
            spent: number;
            /** @description Tokens that a buy received, in base units */
            tokens: number;
            /** @description The operator; empty if unknown, or if the caller is not an operator */
            by: string;
            /** @description The time of the record, in milliseconds since 1970-01-01 UTC; 0 if unknown */
            at: number;
        };
        Wallets: {
            /** @description The owner of the job */
            userId: string;
            /** @description The wallet that pays for operations of the mode `standard` */
            funding: components["schemas"]["WalletBalance"];
            /** @description The operation's wallets, in the order of their use */
            wallets: components["schemas"]["WalletBalance"][];
        };
        WalletBalance: {
            /** @description The address of the wallet */
            wallet: string;
            /** @description SOL in the wallet */
            balance: number;
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
        Summary: {
            /** @description The number of jobs */
            total: number;
            /** @description The number of jobs by status */
            byStatus: components["schemas"]["StatusCounts"];
            /** @description The number of ended jobs by outcome */
            byOutcome: components["schemas"]["OutcomeCounts"];
            /** @description Buys of all these jobs that were executed, also as recorded by operators */
            successfulBuys: number;
            /** @description Failed buys of all these jobs, also as recorded by operators */
            failedBuys: number;
            /** @description SOL spent by all these jobs, fees included, also as recorded by operators */
            totalSpent: number;
        };
        StatusCounts: {
            /** @description Jobs that no worker has claimed */
            waiting: number;
            /** @description Jobs that a worker runs */
            active: number;
            /** @description Jobs that bought something */
            completed: number;
            /** @description Jobs that ended otherwise */
            failed: number;
        };
        OutcomeCounts: {
            /** @description Jobs whose planned buys were all confirmed */
            full: number;
            /** @description Jobs of which some buys were confirmed */
            partial: number;
            /** @description Jobs that bought nothing */
            none: number;
            /** @description Jobs with a transfer or buy whose outcome is not known */
            unknown: number;
        };
        JobReview: {
            /** @description The job */
            jobId: string;
            /** @description The owner of the job */
            userId: string;
            /**
             * @description How the job ended
             * @enum {string}
             */
            status: "active" | "completed" | "failed" | "waiting";
            /** @description Whether an operator must review the job now */
            needsReview: boolean;
            /** @description The number of runs of the job */
            attempts: number;
            /** @description The reason for the job's failure, machine-readable */
            errorCode: string | null;
            /** @description The reason for the job's failure, as text */
            error: string | null;
            /** @description The steps to resolve, in the order of the plan */
            unknownIntents: components["schemas"]["UnknownStep"][];
        };
        UnknownStep: {
            /** @description The id to resolve it with */
            intentId: string;
            /** @description The step, as text */
            description: string;
            /** @description `transfer` or `buy` */
            kind: string;
            /** @description The address of the operation's wallet */
            wallet: string;
            /** @description SOL to transfer or to spend, without network fees */
            amount: number;
            /** @description The signature of the transaction, to look up at the market */
            signature: string;
            /** @description The time just before its order was submitted, in milliseconds since 1970-01-01 UTC; null if no event reports it */
            startedAt: number | null;
            /** @description The time at which the worker stopped waiting for the outcome, in the same form */
            reportedAt: number | null;
            /** @description The run of the job that stopped waiting, in the same form */
            attempt: number | null;
        };
        MarketAnswer: {
            /** @description The job */
            jobId: string;
            /** @description The name of the market, as in CTO_MARKET */
            market: string;
            /** @description Whether the market answered. Otherwise `executed` is null in each order */
            available: boolean;
            /** @description Why the market did not answer, and what to do; null if it answered */
            reason: string | null;
            /** @description The latest order of each step, in the order of the plan */
            orders: components["schemas"]["MarketOrder"][];
        };
        MarketOrder: {
            /** @description The id of the step */
            intentId: string;
            /** @description `transfer` or `buy` */
            kind: string;
            /** @description The address of the operation's wallet */
            wallet: string;
            /** @description The signature of the transaction */
            signature: string;
            /** @description The address of the transaction in the explorer; null without CTO_EXPLORER_URL */
            explorerUrl: string | null;
            /** @description Whether it was executed; null if the market does not know */
            executed: boolean | null;
            /** @description Whether the state is final. If false, an order that is not executed may still be executed */
            final: boolean;
            /** @description SOL spent, fees included. An order that failed also costs fees */
            spent: number;
            /** @description Tokens that a buy received, in base units */
            tokens: number;
            /** @description The time at which it was executed or failed, in milliseconds since 1970-01-01 UTC */
            at: number | null;
            /** @description The reason for which the order failed, as text */
            error: string | null;
        };
        SystemState: {
            /** @description The release of the gateway that responds */
            version: string;
            /** @description Running workers: with a heartbeat in the last 15 s, and not shut down; by id */
            workers: components["schemas"]["Worker"][];
            /** @description Running gateways: with a heartbeat in the last 15 s, and not shut down; by id */
            gateways: components["schemas"]["Gateway"][];
            /** @description Processes that stopped within a day without a clean exit, and were not replaced */
            lost: components["schemas"]["LostProcess"][];
            /** @description Queued messages, by queue */
            queues: {
                [key: string]: number;
            };
            /** @description The number of jobs that are not done */
            jobs: components["schemas"]["Backlogged"];
            /** @description The oldest waiting job; null without one */
            oldestWaiting: components["schemas"]["OldestWaiting"] | null;
            /** @description The jobs that ended in the last 60 minutes */
            lastHour: components["schemas"]["EndedJobs"];
            /** @description The same for each of these minutes, oldest first */
            minutes: components["schemas"]["EndedJobs"][];
            /** @description The state of the store */
            store: components["schemas"]["StoreState"];
        };
        Worker: {
            /** @description Host name and process id */
            id: string;
            /** @description Operations that run now */
            operations: number;
            /** @description Operations that may run at the same time */
            slots: number;
            /** @description Milliseconds since its last heartbeat; it sends one every 2 s */
            heartbeatAgeMs: number;
            /** @description The release that the process runs; empty before 0.3 */
            version: string;
            /** @description Its market, such as `solana: local chain`; empty before 0.3 */
            market: string;
            /** @description The kind of money in this market: `simulated`, `local_chain` (play money) or `real`; empty before 0.3 */
            money: string;
        };
        Gateway: {
            /** @description Host name and process id */
            id: string;
            /** @description Clients that receive events, by transport */
            connections: {
                [key: string]: number;
            };
            /** @description Milliseconds since it last received its own message through the store; it sends one every 2 s */
            relayDelayMs: number;
            /** @description Milliseconds since its last heartbeat; it sends one every 2 s */
            heartbeatAgeMs: number;
            /** @description The release that the process runs; empty before 0.3 */
            version: string;
        };
        LostProcess: {
            /** @description Host name and process id */
            id: string;
            /** @description `worker` or `gateway` */
            kind: string;
            /** @description Milliseconds since its last heartbeat; it sends one every 2 s */
            heartbeatAgeMs: number;
            /** @description The release that the process runs; empty before 0.3 */
            version: string;
        };
        Backlogged: {
            /** @description Jobs that no worker has claimed */
            waiting: number;
            /** @description Jobs that a worker runs, or will take over */
            active: number;
            /** @description Ended jobs that an operator must look at */
            needsReview: number;
            /** @description Ended jobs that are not in the archive yet */
            unarchived: number;
        };
        OldestWaiting: {
            /** @description The job */
            jobId: string;
            /** @description Milliseconds since its acceptance */
            ageMs: number;
        };
        EndedJobs: {
            /** @description The beginning of the period, in milliseconds since 1970-01-01 UTC */
            since: number;
            /** @description Jobs that ended `completed` */
            completed: number;
            /** @description Jobs that ended `failed` */
            failed: number;
            /** @description Jobs of which every planned buy was confirmed */
            full: number;
            /** @description Jobs of which some buys were confirmed */
            partial: number;
            /** @description Jobs that bought nothing */
            none: number;
            /** @description Jobs with a transfer or buy whose outcome was not known at the end */
            unknown: number;
            /** @description Time from acceptance until a worker began; null without a job */
            wait: components["schemas"]["Quantiles"] | null;
            /** @description Time from acceptance to the end; null without a job */
            duration: components["schemas"]["Quantiles"] | null;
        };
        Quantiles: {
            /** @description The median, in milliseconds */
            p50Ms: number;
            /** @description The 95th percentile, in milliseconds */
            p95Ms: number;
            /** @description The 99th percentile, in milliseconds */
            p99Ms: number;
        };
        StoreState: {
            /** @description Memory that it uses */
            memoryBytes: number;
            /** @description Memory limit; at this limit it refuses writes */
            memoryLimitBytes: number;
            /** @description The time of its last snapshot, or of its start, in milliseconds since 1970-01-01 UTC */
            snapshotAt: number;
        };
        MarketState: {
            /** @description The kind of money that moves: `simulated`, `local_chain` (play money) or `real`; empty if no worker runs, or if the running workers do not all report the same */
            money: string;
        };
        AuditList: {
            /** @description The entries, newest first */
            entries: components["schemas"]["Entry"][];
            /** @description The `cursor` of the next page; null on the last page */
            nextCursor: string | null;
        };
        Entry: {
            /** @description The number of the entry: 1, 2, 3 … */
            number: number;
            /** @description The time of the change, in milliseconds since 1970-01-01 UTC */
            at: number;
            /** @description The user id of the token, or the user who ran a command */
            actor: string;
            /** @description `user`, `admin` or `service`; `operator` for a command */
            role: string;
            /** @description The client's address, or the host on which a command ran */
            address: string;
            /** @description The kind of change, e.g. `job.cancel` */
            action: string;
            /** @description The job that was changed; null for other changes */
            jobId: string | null;
            /** @description The part or object that was changed, if it is not a whole job */
            target: string | null;
            /** @description The state before the change; null if it was new or is unknown */
            before: Record<string, unknown> | null;
            /** @description The state after the change; null if it is unknown */
            after: Record<string, unknown> | null;
            /** @description The hash of the previous entry */
            previous: string;
            /** @description SHA-256 of the previous hash and the hash of this entry's content */
            hash: string;
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
            /** @description In the first event, if traces are enabled: the job's trace, 32 hexadecimal digits */
            traceId?: string;
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
            /** @description Outcomes that operators recorded after the end. The events and the result do not change */
            resolutions: components["schemas"]["ResolvedStep"][];
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
            /** @description The time of the last event, in the same unit; null until the job ends */
            endedAt: number | null;
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
            /** @description Planned buys; null before the plan */
            plannedBuys: number | null;
            /** @description Buys executed so far, also as recorded by operators */
            successfulBuys: number;
            /** @description Buys failed so far, also as recorded by operators */
            failedBuys: number;
            /** @description SOL spent so far, with fees, also as recorded by operators */
            totalSpent: number;
            /** @description The reason for the job's failure, machine-readable; null without one */
            errorCode: string | null;
            /** @description Reserved: the job whose remaining buys this job makes */
            parentJobId: null;
            /** @description Reserved: the job that makes the remaining buys */
            retriedBy: null;
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
            code: "invalid_json" | "invalid_request" | "invalid_job_id" | "invalid_query" | "invalid_handshake" | "invalid_idempotency_key" | "jsonp_not_supported" | "bad_request" | "unauthorized" | "invalid_token" | "token_expired" | "token_revoked" | "forbidden" | "user_mismatch" | "origin_not_allowed" | "host_not_allowed" | "job_not_found" | "intent_not_found" | "not_found" | "method_not_allowed" | "idempotency_conflict" | "job_ended" | "job_not_ended" | "intent_not_unknown" | "outcome_unknown" | "body_too_large" | "uri_too_long" | "unsupported_media_type" | "upgrade_required" | "rate_limited" | "too_many_connections" | "request_header_fields_too_large" | "internal_error" | "not_implemented" | "store_unavailable" | "archive_unavailable" | "keys_unavailable" | "busy" | "going_away" | "http_version_not_supported" | "invalid_room" | "too_many_rooms" | "invalid_resume" | "gap" | "invalid_message" | "protocol_error" | "unsupported_data" | "invalid_text" | "too_many_messages" | "message_too_large";
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
                 * @description Only jobs with this status. `needs_review`: the same as `needsReview=true`
                 * @example failed
                 */
                status?: "waiting" | "active" | "completed" | "failed" | "needs_review";
                /**
                 * @description Only ended jobs with this outcome
                 * @example partial
                 */
                outcome?: "full" | "partial" | "none" | "unknown";
                /**
                 * @description Only jobs that an operator must review now, or only the others
                 * @example false
                 */
                needsReview?: boolean;
                /**
                 * @description The owner of the jobs. Default: the caller; for operators, all users
                 * @example 7
                 */
                userId?: string;
                /**
                 * @description Only jobs that buy this token
                 * @example So11111111111111111111111111111111111111112
                 */
                tokenAddress?: string;
                /**
                 * @description Only jobs with this operation wallet
                 * @example So11111111111111111111111111111111111111112
                 */
                wallet?: string;
                /**
                 * @description Only jobs with this transaction
                 * @example 5VERv8NMvzbJMEkV8xnrLkEaWRtSz9CosKDYjCJjBRnb
                 */
                signature?: string;
                /**
                 * @description Only jobs that failed for this reason
                 * @example all_buys_failed
                 */
                errorCode?: string;
                /**
                 * @description Only jobs with this mode
                 * @example standard
                 */
                mode?: "standard" | "prefunded";
                /**
                 * @description Only jobs on this platform
                 * @example pumpfun
                 */
                platform?: string;
                /**
                 * @description Only jobs created at or after this time, in milliseconds since 1970-01-01 UTC
                 * @example 1700000000000
                 */
                from?: number;
                /**
                 * @description Only jobs created before this time, in the same unit
                 * @example 1900000000000
                 */
                to?: number;
                /**
                 * @description The maximum number of jobs
                 * @example 50
                 */
                limit?: number;
                /**
                 * @description The `nextCursor` of the previous page
                 * @example 1700000000000:0b9c2f64-5d7e-4a39-9c1b-2f3f6f0f7a11
                 */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: never;
    };
}
