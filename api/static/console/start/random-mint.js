// A random mint, to try the paper market.

const BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const SUFFIX = "pump";

/** Return a random mint address: 32 bytes in base58 that end in "pump". */
export function randomMint() {
  const bytes = crypto.getRandomValues(new Uint8Array(31)); // below 2^248, so the suffix cannot overflow 32 bytes
  let number = bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 1n); // the leading 1 keeps the length at 32 bytes
  const size = 58n ** BigInt(SUFFIX.length);
  const suffix = [...SUFFIX].reduce((sum, digit) => sum * 58n + BigInt(BASE58.indexOf(digit)), 0n);
  number = number - (number % size) + suffix;
  let text = "";
  for (; number > 0n; number /= 58n) text = BASE58[Number(number % 58n)] + text;
  return text;
}
