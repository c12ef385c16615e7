-- One exchange: read the profiles, then update them, unless the receipt was seen before.
-- KEYS: the receipt, then the profiles. ARGV: the updates in MessagePack; see profile.py for
-- what they mean. Numbers are whole and below 2^53. Answers {first, state}: the state is "p" and
-- the profiles as they were before the first time, or "a" and the answer that settled it.
local seen = redis.call('GET', KEYS[1])
if seen then return {0, seen} end

local request = cmsgpack.unpack(ARGV[1])
local receipt_seconds, lifetimes, expired = request[1], request[2], request[3]
local adds, keeps, touches = request[4], request[5], request[6]

local before = {}
for i = 2, #KEYS do before[i - 1] = redis.call('HGETALL', KEYS[i]) end
local state = 'p' .. cmsgpack.pack(before)

local function add(place, field, lanes)
  local key = KEYS[place + 2]
  local old = redis.call('HGET', key, field)
  if old then
    local sum = cmsgpack.unpack(old)
    for i = 1, #lanes do sum[i] = sum[i] + lanes[i] end
    lanes = sum
  end
  redis.call('HSET', key, field, cmsgpack.pack(lanes))
end

local function tile_field(slot, tile) return struct.pack('>Bi8', slot, tile) end

for _, a in ipairs(adds) do add(a[1], a[2], a[3]) end

for _, k in ipairs(keeps) do
  local key = KEYS[k[1] + 2]
  local old = redis.call('HGET', key, k[2])
  if not old or cmsgpack.unpack(old)[1] <= k[3][1] then
    redis.call('HSET', key, k[2], cmsgpack.pack(k[3]))
  end
end

for _, t in ipairs(touches) do
  local pair_key, mark, group, slot, tile = KEYS[t[1] + 2], t[2], t[3], t[4], t[5]
  local last = redis.call('HGET', pair_key, mark)
  if last then last = cmsgpack.unpack(last)[1] end
  if not last or last < tile then
    if last then add(group, tile_field(slot, last), {-1}) end
    add(group, tile_field(slot, tile), {1})
    redis.call('HSET', pair_key, mark, cmsgpack.pack({tile}))
  end
end

for i = 1, #KEYS - 1 do
  local first_tiles = {}
  for _, pair in ipairs(expired[i]) do first_tiles[pair[1]] = pair[2] end
  local fields = before[i]
  for j = 1, #fields, 2 do
    local field = fields[j]
    if #field == 9 then
      local slot, tile = struct.unpack('>Bi8', field)
      if first_tiles[slot] and tile < first_tiles[slot] then
        redis.call('HDEL', KEYS[i + 1], field)
      end
    end
  end
  if lifetimes[i] > 0 then redis.call('EXPIRE', KEYS[i + 1], lifetimes[i]) end
end

redis.call('SET', KEYS[1], state, 'EX', receipt_seconds)
return {1, state}
