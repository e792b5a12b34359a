-- Executes transfers and buys of one user on the paper market, in order and atomically.
-- An order sent again is ignored. An expired order is not executed, and gets an entry in the ledger. A different order of
-- the same intent is executed, too: the caller must send it only if the first one has expired.
-- KEYS: wallets, tokens, curve
-- ARGV: see PaperMarket._execute. All numbers are integers below 2^53, which a Lua number represents exactly
local wallets, tokens, curve = unpack(KEYS)
local user, network_fee, virtual_lamports, virtual_tokens, for_sale, fee_bps = unpack(ARGV)
local FIELDS = 10 -- of each order in ARGV
network_fee = tonumber(network_fee)
virtual_lamports, virtual_tokens = tonumber(virtual_lamports), tonumber(virtual_tokens)
for_sale, fee_bps = tonumber(for_sale), tonumber(fee_bps)

-- floor(a * b / c) for b < c < 2^51, by long division over the bits of a: no intermediate value exceeds 2^53
local function multiply_divide(a, b, c)
  local quotient, remainder = 0, 0
  for bit = 50, 0, -1 do
    quotient, remainder = quotient * 2, remainder * 2
    if math.floor(a / 2 ^ bit) % 2 == 1 then
      remainder = remainder + b
    end
    while remainder >= c do
      quotient, remainder = quotient + 1, remainder - c
    end
  end
  return quotient
end

local function execute(intent_id, signature, fails, expires, kind, source, target, lamports, min_tokens, priority_fee)
  lamports, min_tokens, priority_fee = tonumber(lamports), tonumber(min_tokens), tonumber(priority_fee)
  local order = paper_order_key(intent_id, signature)
  local postings = {}
  local function add_entry(entry_kind)
    redis.call("XADD", PAPER_LEDGER, "*", "kind", entry_kind, "intent", intent_id, "user", user, "signature", signature,
      "postings", "[" .. table.concat(postings, ",") .. "]")
  end

  if redis.call("EXISTS", order) == 1 then
    return
  end
  if expires ~= "0" and market_ms() > tonumber(expires) then
    return add_entry("expired")
  end

  local function record(status, spent, bought, error_code, error)
    redis.call("HSET", order, "signature", signature, "status", status, "spent", integer(spent), "tokens", integer(bought),
      "error_code", error_code, "error", error, "at_ms", integer(market_ms()))
    redis.call("EXPIRE", order, PAPER_INTENT_TTL_S)
  end

  local function post(account, asset, amount)
    if amount ~= 0 then
      postings[#postings + 1] = '["' .. account .. '","' .. asset .. '",' .. integer(amount) .. "]"
    end
  end

  local function pay(address, amount)
    redis.call("HINCRBY", wallets, address, integer(-amount))
    post(address, "SOL", -amount)
  end
  local function pay_fees()
    post("network_fees", "SOL", network_fee)
    post("priority_fees", "SOL", priority_fee)
  end
  local function fail(error_code, error)
    pay(source, network_fee + priority_fee)
    pay_fees()
    add_entry("failed_" .. kind)
    record("failed", network_fee + priority_fee, 0, error_code, error)
  end

  local fees = network_fee + priority_fee
  local balance = tonumber(redis.call("HGET", wallets, source) or "0")
  if balance < fees then
    return record("failed", 0, 0, "insufficient_funds", "the wallet cannot pay the fees, so the order was not sent")
  end
  if fails == "1" then
    return fail("transaction_failed", "the transaction failed on the chain")
  end
  if balance < lamports + fees then
    return fail("insufficient_funds", "the wallet's balance is now less than the amount")
  end

  if kind == "transfer" then
    pay(source, lamports + fees)
    redis.call("HINCRBY", wallets, target, integer(lamports))
    post(target, "SOL", lamports)
    pay_fees()
    add_entry(kind)
    return record("confirmed", fees, 0, "", "")
  end

  local state = redis.call("HMGET", curve, "sol", "sold")
  local gained, sold = tonumber(state[1] or "0"), tonumber(state[2] or "0")
  local platform_fee = math.ceil(lamports * fee_bps / 10000)
  local net = lamports - platform_fee
  local bought = multiply_divide(virtual_tokens - sold, net, virtual_lamports + gained + net)
  if bought > for_sale - sold then
    return fail("insufficient_liquidity", "the curve has too few tokens left")
  end
  if bought < min_tokens then
    return fail("slippage_exceeded", "the price has moved beyond the slippage limit")
  end
  pay(source, lamports + fees)
  redis.call("HINCRBY", curve, "sol", integer(net))
  redis.call("HINCRBY", curve, "sold", integer(bought))
  redis.call("HINCRBY", tokens, source .. ":" .. target, integer(bought))
  post("curve:" .. target, "SOL", net)
  post("platform_fees", "SOL", platform_fee)
  pay_fees()
  post("curve:" .. target, target, -bought)
  post(source, target, bought)
  add_entry(kind)
  record("confirmed", lamports + fees, bought, "", "")
end

for index = REST, #ARGV, FIELDS do
  execute(unpack(ARGV, index, index + FIELDS - 1))
end
