-- SPDX-License-Identifier: BSD-3-Clause
-- The cases against a device that is not there: a stand-in for Pktgen whose device takes LIMIT percent of the rate and loses the rest. What the
-- search finds must be that limit; what is set must be what Pktgen knows. Run from the top: lua perf/pktgen/check.lua
local limit, rate, sent, received, range, sequence = 37.5, 100, 0, 0, "off", {}
local PPS = 1e6

pktgen = setmetatable({
  portStats = function() return { [0] = { opackets = sent, ipackets = 0 }, [1] = { opackets = 0, ipackets = received } } end,
  clr = function() sent, received = 0, 0 end,
  set = function(_, what, value)
    assert(({ count = 1, rate = 1, size = 1, seq_cnt = 1 })[what], "Pktgen has no " .. what)
    if what == "rate" then rate = value end
    if what == "seq_cnt" then sequence.n = value end
  end,
  set_range = function(_, state) range = state end,
  seqTable = function(i, port, row)
    assert(port == "0" and row.pktSize >= 68 and row.eth_src_addr and row.ip_dst_addr)
    sequence[i] = row
  end,
  delay = function(ms)
    if sequence.running then
      sent = sent + PPS * rate / 100 * ms / 1000
      received = received + PPS * math.min(rate, limit) / 100 * ms / 1000
    end
  end,
  start = function() sequence.running = true end,
  stop = function() sequence.running = false end,
}, { __index = function(_, name)
  assert(({ set_mac = 1, set_ipaddr = 1, set_proto = 1, src_mac = 1, dst_mac = 1, src_ip = 1, dst_ip = 1, src_port = 1, dst_port = 1, pkt_size = 1 })[name],
    "Pktgen has no " .. name)
  return function() end
end })

local cases = dofile("perf/pktgen/cases.lua")
cases.drain_ms = 1
local function host(mac, ip) return { mac = mac, next = "fe:fd:00:00:00:00", ip = ip } end
local leases = {}
for i = 1, 3 do
  leases[i] = { host("02:70:67:00:00:0" .. i, "10.128.0." .. i), host("02:70:67:01:00:0" .. i, "10.128.1." .. i) }
end
print = function() end
for _, l in ipairs({ 37.5, 100, 0.1 }) do
  limit = l
  local best = cases.search(1)
  assert(best.rate <= l and best.rate > l - 100 / 2 ^ (cases.rounds - 2), "found " .. best.rate .. ", the limit is " .. l)
end
limit = 50
local lines = cases.run({ leases = leases, sizes = { 64, 1420 }, seconds = 1, flows = 100 })
assert(#lines == 7, #lines)
assert(sequence.n == 12 and sequence[6].pktSize == 1424, "IMIX is a sequence of twelve")
cases.plain(leases, 64, 1, 100)
assert(range == "on")
cases.plain(leases, 64, 3, 1)
assert(range == "off" and sequence.n == 3 and sequence[2].eth_src_addr == leases[3][1].mac)
-- Several gateways: pairs take turns among the slots, none is lost, and there is a case of it per size.
for i = 1, 40 do
  local mac = "fe:fd:00:00:00:" .. string.format("%02x", i % 3 == 0 and 1 or i % 2 == 0 and 2 or 3)
  leases[i] = { host("02:70:67:00:01:" .. string.format("%02x", i), "10.128.2." .. i), host("02:70:67:01:01:" .. string.format("%02x", i), "10.128.3." .. i) }
  leases[i][1].next = mac
end
local turns, slots = cases.by_slot(leases)
assert(slots == 3 and #turns == cases.sequence_max)
for i = 1, #turns - 3 do
  assert(turns[i][1].next == turns[i + 3][1].next and turns[i][1].next ~= turns[i + 1][1].next and turns[i][1].mac ~= turns[i + 3][1].mac)
end
assert(#cases.run({ leases = leases, sizes = { 64, 1420 }, seconds = 1, flows = 100 }) == 9)
assert(sequence.n == 12)
io.write("ok\n")
