-- Gives each wallet of these users the same balance again, and takes all tokens back to their curves, which then start anew.
-- ARGV: balance in lamports, number of users; then {user, key of its wallets, key of its tokens} for each, then
-- {mint, key of its curve} for each curve
-- Returns the number of new entries in the ledger
local lamports, user_count = unpack(ARGV)
lamports = tonumber(lamports)
local entries = 0
local postings

local function post(account, asset, amount)
  if amount ~= 0 then
    postings[#postings + 1] = '["' .. account .. '","' .. asset .. '",' .. integer(amount) .. "]"
  end
end

local function add_entry(user)
  if #postings > 0 then
    entries = entries + 1
    redis.call("XADD", PAPER_LEDGER, "*", "kind", "reset", "intent", "", "user", user, "postings",
      "[" .. table.concat(postings, ",") .. "]")
  end
end

-- Returns a hash as pairs of field and number.
local function numbers(key)
  local flat, pairs_of = redis.call("HGETALL", key), {}
  for index = 1, #flat, 2 do
    pairs_of[#pairs_of + 1] = { flat[index], tonumber(flat[index + 1]) }
  end
  return pairs_of
end

local returned = {} -- base units by mint
local position = REST
for _ = 1, tonumber(user_count) do
  local user, wallets, tokens = ARGV[position], ARGV[position + 1], ARGV[position + 2]
  position, postings = position + 3, {}
  local deposited = 0
  for _, wallet in ipairs(numbers(wallets)) do
    deposited = deposited + lamports - wallet[2]
    post(wallet[1], "SOL", lamports - wallet[2])
    redis.call("HSET", wallets, wallet[1], integer(lamports))
  end
  post("deposits", "SOL", -deposited)
  for _, holding in ipairs(numbers(tokens)) do
    local address, mint = holding[1]:match("^(.-):(.+)$")
    post(address, mint, -holding[2])
    post("curve:" .. mint, mint, holding[2])
    returned[mint] = (returned[mint] or 0) + holding[2]
  end
  redis.call("DEL", tokens)
  add_entry(user)
end
for index = position, #ARGV, 2 do
  local mint, curve = ARGV[index], ARGV[index + 1]
  local gained = tonumber(redis.call("HGET", curve, "sol") or "0")
  postings = {}
  post("curve:" .. mint, "SOL", -gained)
  post("deposits", "SOL", gained)
  redis.call("HINCRBY", curve, "sol", integer(-gained))
  redis.call("HINCRBY", curve, "sold", integer(-(returned[mint] or 0)))
  add_entry("")
end
return entries
