-- Appends entries to the audit log. script_runner.py puts this file before each script that calls append_audit.

-- SHA-256 (FIPS 180-4), because scripts have only SHA-1: the first 32 bits of the fractional parts of the cube roots of
-- the first 64 primes, and of the square roots of the first eight.
local SHA256_ROUNDS = {
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
}
local SHA256_START = {
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
}

-- Returns the state after a block of 16 words of 32 bits.
local function sha256_block(state, words)
  local tobit, ror, bxor, band, rshift = bit.tobit, bit.ror, bit.bxor, bit.band, bit.rshift
  for i = 17, 64 do
    local x, y = words[i - 15], words[i - 2]
    local sx, sy = bxor(ror(x, 7), ror(x, 18), rshift(x, 3)), bxor(ror(y, 17), ror(y, 19), rshift(y, 10))
    words[i] = tobit(words[i - 16] + sx + words[i - 7] + sy)
  end
  local a, b, c, d, e, f, g, h = unpack(state)
  for i = 1, 64 do
    local chosen = bxor(g, band(e, bxor(f, g)))
    local sum = tobit(h + bxor(ror(e, 6), ror(e, 11), ror(e, 25)) + chosen + SHA256_ROUNDS[i] + words[i])
    local majority = bxor(band(a, bxor(b, c)), band(b, c))
    local other = bxor(ror(a, 2), ror(a, 13), ror(a, 22)) + majority
    h, g, f, e, d, c, b, a = g, f, e, tobit(d + sum), c, b, a, tobit(sum + other)
  end
  local mixed = { a, b, c, d, e, f, g, h }
  for i = 1, 8 do
    mixed[i] = tobit(mixed[i] + state[i])
  end
  return mixed
end

-- The hash of 64 bytes, both in hexadecimal digits. The second block is the padding.
local function sha256_of_64_bytes(digits)
  local words = {}
  for i = 1, 16 do
    words[i] = tonumber(string.sub(digits, 8 * i - 7, 8 * i), 16)
  end
  local padding = { 0x80000000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 512 }
  local state = sha256_block(sha256_block(SHA256_START, words), padding)
  for i = 1, 8 do
    state[i] = bit.tohex(state[i])
  end
  return table.concat(state)
end

-- Appends a change, as Change.encode returns it. A script calls this before its other writes: if it fails, nothing has
-- changed. Returns the entry's number, or nothing if the change is "".
local function append_audit(change)
  if change == "" then
    return
  end
  local number, previous = unpack(redis.call("HMGET", AUDIT_HEAD, "number", "hash"))
  local last = not number and redis.call("XREVRANGE", AUDIT, "+", "-", "COUNT", 1)[1] -- somebody has deleted the head
  if last then
    number, previous = string.match(last[1], "^%d+"), last[2][6]
  end
  number, previous = (number or 0) + 1, previous or string.rep("0", 64)
  local hash = sha256_of_64_bytes(previous .. string.sub(change, 1, 64))
  redis.call("XADD", AUDIT, integer(number) .. "-0", "content", string.sub(change, 65), "previous", previous,
    "hash", hash)
  redis.call("HSET", AUDIT_HEAD, "number", integer(number), "hash", hash)
  return number
end
