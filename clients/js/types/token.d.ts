/**
 * Return the claims of a token without verifying them; the gateway verifies them.
 *
 * @param {string | undefined} token
 * @returns {{ sub?: string, role?: string, exp?: number }} empty if the text is not a JWT
 */
export declare function claimsOf(token: string | undefined): {
    sub?: string;
    role?: string;
    exp?: number;
};
/** The current access token. If its source is a function, it is renewed before it expires. */
export declare class Token {
    #private;
    /**
     * @param {string | (() => string | Promise<string>) | undefined} source
     * @param {(token: string) => void} onRenewed called with each token after the first
     */
    constructor(source: string | (() => string | Promise<string>) | undefined, onRenewed: (token: string) => void);
    /** Whether the source can return another token. */
    get renewable(): boolean;
    /** Return the token, and get a new one if there is no valid one. Rejects with `token_unavailable`. */
    get(): Promise<string | undefined>;
    /** Get a new token now. Concurrent calls share one renewal. */
    renew(): Promise<string | undefined>;
    close(): void;
}
