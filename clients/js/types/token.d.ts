/**
 * What a token says of itself. Nothing is verified: that is the gateway's business.
 *
 * @param {string | undefined} token
 * @returns {{ sub?: string, role?: string, exp?: number }} empty for what is no JWT
 */
export declare function claimsOf(token: string | undefined): {
    sub?: string;
    role?: string;
    exp?: number;
};
/** The token to show, replaced before it ends when there is somebody to ask for another. */
export declare class Token {
    #private;
    /**
     * @param {string | (() => string | Promise<string>) | undefined} source
     * @param {(token: string) => void} onRenewed called with each token after the first
     */
    constructor(source: string | (() => string | Promise<string>) | undefined, onRenewed: (token: string) => void);
    /** Whether there can be another one. */
    get renewable(): boolean;
    /** The token, asked for when there is none or it has ended. Rejects with `token_unavailable`. */
    get(): Promise<string | undefined>;
    /** Another token, asked for now; those who ask at once get the same. */
    renew(): Promise<string | undefined>;
    close(): void;
}
