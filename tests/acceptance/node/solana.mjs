// Drives a local chain with @solana/web3.js: node solana.mjs URL MINT. Prints one JSON object.
import {
  ComputeBudgetProgram, Connection, Keypair, PublicKey, SystemProgram, TransactionInstruction, TransactionMessage,
  AddressLookupTableAccount, VersionedTransaction,
} from "@solana/web3.js";

const [url, mint] = process.argv.slice(2);
const connection = new Connection(url, "confirmed");
const key = Keypair.generate();
const other = Keypair.generate().publicKey;

async function confirmed(signature) {
  for (;;) {
    const { value } = await connection.getSignatureStatus(signature, { searchTransactionHistory: true });
    if (value && value.confirmationStatus !== "processed") return value;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function sent(instructions, { tables = [], recent = null } = {}) {
  const { blockhash } = recent ?? await connection.getLatestBlockhash();
  const message = new TransactionMessage({ payerKey: key.publicKey, recentBlockhash: blockhash, instructions });
  const transaction = new VersionedTransaction(message.compileToV0Message(tables));
  transaction.sign([key]);
  const signature = await connection.sendTransaction(transaction, { maxRetries: 0 });
  return { signature, transaction, status: await confirmed(signature) };
}

const instruction = ({ programId, accounts, data }) => new TransactionInstruction({
  programId: new PublicKey(programId),
  keys: accounts.map((each) => ({ ...each, pubkey: new PublicKey(each.pubkey) })),
  data: Buffer.from(data, "base64"),
});

await confirmed(await connection.requestAirdrop(key.publicKey, 10_000_000_000));
const transfer = await sent([
  ComputeBudgetProgram.setComputeUnitPrice({ microLamports: 1_000_000 }),
  ComputeBudgetProgram.setComputeUnitLimit({ units: 1_000 }),
  SystemProgram.transfer({ fromPubkey: key.publicKey, toPubkey: other, lamports: 1_000_000_000 }),
]);
const receipt = await connection.getTransaction(transfer.signature, { maxSupportedTransactionVersion: 0 });
const repeated = await connection.sendTransaction(transfer.transaction).then(() => "sent", (error) => error.message);

const query = new URLSearchParams({
  inputMint: "So11111111111111111111111111111111111111112", outputMint: mint, amount: "2000000000",
  taker: key.publicKey.toBase58(), slippageBps: "100",
});
const built = await (await fetch(`${url}swap/v2/build?${query}`)).json();
const tables = await Promise.all(Object.keys(built.addressesByLookupTableAddress).map(
  async (address) => (await connection.getAddressLookupTable(new PublicKey(address))).value));
const swap = await sent(
  [...built.computeBudgetInstructions, ...built.setupInstructions, built.swapInstruction, built.cleanupInstruction]
    .map(instruction),
  { tables },
);
const held = await connection.getParsedTokenAccountsByOwner(key.publicKey, { mint: new PublicKey(mint) });

console.log(JSON.stringify({
  version: await connection.getVersion(),
  genesisHash: await connection.getGenesisHash(),
  epoch: await connection.getEpochInfo("finalized"),
  rent: await connection.getMinimumBalanceForRentExemption(165),
  accounts: (await connection.getMultipleAccountsInfo([other, key.publicKey])).map((each) => each.lamports),
  valid: (await connection.isBlockhashValid(transfer.transaction.message.recentBlockhash)).value,
  transfer: { status: transfer.status.err, fee: receipt.meta.fee, post: receipt.meta.postBalances.slice(0, 2) },
  history: (await connection.getSignaturesForAddress(other)).map((each) => each.signature === transfer.signature),
  repeated,
  tables: tables.every((each) => each instanceof AddressLookupTableAccount) && tables.length,
  swap: { status: swap.status.err, offered: built.outAmount },
  held: held.value.map((each) => each.account.data.parsed.info.tokenAmount.amount),
}));
