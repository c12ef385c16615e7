-- Payments for wrk: `wrk -t1 ... -s payments.lua URL -- BODIES TOKEN MARK FIRST`. BODIES is a file
-- with the rest of a payment's JSON on each line, after its id and time; MARK begins the ids, whose
-- number goes on from FIRST.
function init(arguments)
  tails, mark, sent = {}, arguments[3], tonumber(arguments[4])
  for line in io.lines(arguments[1]) do tails[#tails + 1] = line end
  headers = {["Authorization"] = "Bearer " .. arguments[2], ["Content-Type"] = "application/json"}
end

function request()
  local tail = tails[sent % #tails + 1]
  local now = os.date("!%Y-%m-%dT%H:%M:%SZ")
  sent = sent + 1
  local body = '{"transaction_id":"' .. mark .. sent .. '","event_time":"' .. now .. '",' .. tail
  return wrk.format("POST", nil, headers, body)
end

function done(summary, latency)
  local errors = summary.errors
  local lost = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format(
    'RESULT {"p50_ms":%.3f,"p95_ms":%.3f,"p99_ms":%.3f,"p999_ms":%.3f,"requests":%d,' ..
      '"seconds":%.6f,"errors":%d}\n',
    latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3,
    latency:percentile(99.9) / 1e3, summary.requests, summary.duration / 1e6,
    errors.status + lost))
end
