-- One exchange: read the profiles, then update them, unless the receipt was seen before.
-- KEYS: the receipt, the profiles and, where the exchange says so, the receipt's legacy name. ARGV: the
-- exchange as one MessagePack array of whole numbers below 2^53, in the order in which they are taken
-- below, and its mark; profile.py says what they mean.
-- Answers {first, state}: the state is "m", the mark and the profiles as they were before the first
-- time, or "a" and the answer that settled it; "p" and the profiles under a legacy name.
--
-- A profile is one MessagePack array: a string with the clock (eight bytes, signed) and the byte
-- length of each field after it (four bytes each), then these fields, each an array with a
-- four-byte count. So a reply is stored profiles end to end, and a field changes without the others
-- being read.
local sub, concat, byte = string.sub, table.concat, string.byte
local to_bytes, from_bytes = struct.pack, struct.unpack
local some = cmsgpack.unpack_limit -- next offset (-1: none), values
local HEAD = 5 -- bytes before a field's numbers
local EMPTY = '\221\0\0\0\0'
local NEVER = -4611686018427387904 -- -2^62: a clock not set yet

local request = ARGV[1]
local kind = byte(request)
local at, has_legacy, receipt_seconds, time, touches =
  some(request, 4, kind == 221 and 5 or kind == 220 and 3 or 1)
local legacy = has_legacy == 1 and table.remove(KEYS)

local found = redis.call('MGET', unpack(KEYS))
if found[1] then return {0, found[1]} end
local older = legacy and redis.call('GET', legacy)
if older and byte(older) == 112 and from_bytes('>I2', older, 3) == #KEYS - 1 then return {0, older} end

local state = {'m' .. ARGV[2] .. to_bytes('>BI2', 220, #KEYS - 1)}
for i = 2, #KEYS do state[i] = found[i] or '\144' end
state = concat(state)

local function field_of(count, bytes) return to_bytes('>BI4', 221, count) .. bytes end

-- the bytes of some numbers, without the header of an array
local function packed(list)
  local count = #list
  return sub(cmsgpack.pack(list), count < 16 and 2 or count < 65536 and 4 or 6)
end

-- where the clock is in a profile of so many fields: behind one byte of array (three from 16 elements
-- on) and two of string
local function clock_place(count) return count < 16 and 4 or 6 end

local formats = {}
local function format_of(count)
  if not formats[count] then formats[count] = 'i8' .. string.rep('I4', count - 1) end
  return formats[count]
end

-- the profile at hand: field f is prefix[f] and then text[f] between from[f] and to[f]
local clock, prefix, text, from, to

local function open(value, count)
  clock, prefix, text, from, to = NEVER, {}, {}, {}, {}
  local head, last
  if value then
    head = {from_bytes('>' .. format_of(count), value, clock_place(count))}
    clock, last = head[1], head[count + 1] - 1
  end
  for f = 2, count do
    prefix[f] = ''
    if value then
      text[f], from[f] = value, last + 1
      last = last + head[f]
      to[f] = last
    else
      text[f], from[f], to[f] = EMPTY, 1, HEAD
    end
  end
end

local function set(f, start, rest, first, last)
  prefix[f], text[f], from[f], to[f] = start, rest, first, last
end

-- the field as text between two places
local function whole(f)
  if prefix[f] ~= '' then
    local all = prefix[f] .. sub(text[f], from[f], to[f])
    set(f, '', all, 1, #all)
  end
  return text[f], from[f], to[f]
end

local function is_empty(f) return #prefix[f] + to[f] - from[f] < HEAD end

local function closed(count)
  local lengths, pieces = {}, {''}
  for f = 2, count do
    lengths[f - 1] = #prefix[f] + to[f] - from[f] + 1
    pieces[2 * f - 2] = prefix[f]
    pieces[2 * f - 1] = sub(text[f], from[f], to[f])
  end
  local head = to_bytes('>BB' .. format_of(count), 196, 4 + 4 * count, clock, unpack(lengths))
  pieces[1] = (count < 16 and to_bytes('B', 144 + count) or to_bytes('>BI2', 220, count)) .. head
  return concat(pieces)
end

-- `tile` is {anything, tile, lanes}, and `bytes` is the same packed
local function add(f, tile, bytes)
  local run, first, last = whole(f)
  local width, number = #tile - 1, tile[2]
  local top = first + HEAD - 1
  local at = top
  while at < last do
    local _, there = some(run, 1, at)
    if there < number then break end
    local old = {some(run, width, at)}
    local after = old[1] < 0 and #run or old[1]
    if there == number then
      local new = {number}
      for i = 2, width do new[i] = tile[i + 1] + old[i + 1] end
      return set(f, sub(run, first, at) .. packed(new), run, after + 1, last)
    end
    at = after
  end
  local head = to_bytes('>BI4', 221, from_bytes('>I4', run, first + 1) + width)
  if at > top then head = head .. sub(run, top + 1, at) end
  set(f, head .. bytes, run, at + 1, last)
end

local function count_pair(f, tile, by) add(f, {0, tile, by}, packed({tile, by})) end

local function keep(f, numbers, bytes)
  local record, first, last = whole(f)
  if last - first >= HEAD then
    local _, old = some(record, 1, first + HEAD - 1)
    if old > numbers[2] then return end
  end
  set(f, '', field_of(#numbers - 1, bytes), 1, HEAD + #bytes)
end

local function trim(f, width, first, settled, events, bad)
  local run, head, last = whole(f)
  local tiles = cmsgpack.unpack(sub(run, head, last))
  local stop, count = 0, #tiles
  while stop < count and tiles[stop + 1] >= first do
    local good = tiles[stop + events + 1] > tiles[stop + bad + 1]
    local before = tiles[stop + 1] < settled
    stop = stop + width
    if good and before then break end
  end
  if stop == count then return end
  for i = count, stop + 1, -1 do tiles[i] = nil end
  local left = stop == 0 and EMPTY or field_of(stop, packed(tiles))
  set(f, '', left, 1, #left)
end

local function save(i, value, lasts, seconds)
  if lasts or seconds == 0 then
    redis.call('SET', KEYS[i], value)
  else
    redis.call('SET', KEYS[i], value, 'EX', seconds)
  end
end

-- pairs whose tile changes, by the place of the group where they count
local moves = {}
for _ = 1, touches do
  local pair, group, run, hop
  at, pair, group, run, hop = some(request, 4, at)
  local value = found[pair + 2]
  local last = value and from_bytes('>i8', value, byte(value) < 160 and 4 or 6) or NEVER
  local old, new = math.floor(last / hop), math.floor(time / hop)
  moves[group] = moves[group] or {}
  if old < new then table.insert(moves[group], {run + 1, last ~= NEVER and old, new}) end
end

-- the numbers of an update and where it ends, from its field on
local function update()
  local body, f, width = some(request, 2, at)
  local numbers = {some(request, width, body)}
  at = numbers[1] < 0 and #request or numbers[1]
  return f + 1, numbers, sub(request, body + 1, at)
end

for i = 2, #KEYS do
  local value, moved = found[i], moves[i - 2]
  local count, seconds, lasting, clocked, adds, keeps, trims
  at, count, seconds, lasting, clocked, adds, keeps, trims = some(request, 7, at)
  if adds + keeps > 0 or moved or clocked == 1 and not (value and trims == 0) then
    open(value, count)
    if clocked == 1 and clock < time then clock = time end
    for _ = 1, adds do add(update()) end
    for _ = 1, keeps do keep(update()) end
    for _, move in ipairs(moved or {}) do
      if move[2] then count_pair(move[1], move[2], -1) end
      count_pair(move[1], move[3], 1)
    end
    for _ = 1, trims do
      local f, width, first, settled, events, bad
      at, f, width, first, settled, events, bad = some(request, 6, at)
      trim(f + 1, width, first, settled, events, bad)
    end
    save(i, closed(count), lasting > 0 and not is_empty(lasting + 1), seconds)
  elseif clocked == 1 then
    local place = clock_place(count)
    if from_bytes('>i8', value, place) < time then
      value = sub(value, 1, place - 1) .. to_bytes('>i8', time) .. sub(value, place + 8)
    end
    local length = lasting > 0 and from_bytes('>I4', value, place + 4 + 4 * lasting) or 0
    save(i, value, length > HEAD, seconds)
  elseif trims > 0 then
    at = some(request, 6 * trims, at)
  end
end
redis.call('SET', KEYS[1], state, 'EX', receipt_seconds)
return {1, state}
