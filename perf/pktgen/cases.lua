-- SPDX-License-Identifier: BSD-3-Clause
-- The cases of perf/generator for Pktgen-DPDK: a search for the highest rate without loss (RFC 2544 section 26.1) per frame size, one host
-- or many, one flow or many, hosts behind every gateway of a site in turn, IMIX. Port 0 is at site a's LAN, port 1 at site b's; both the same over memif and over NICs.
--
-- Set before it is run (perf/pktgen/run does): LEASES, the table that `generator --leases` wrote.
-- Optional: SIZES, SECONDS, FLOWS, OUTPUT (a file for the JSON lines).
local M = {}

M.rounds = 8
M.drain_ms = 2000 -- RFC 2544 section 26.1: after the last frame

local function stats()
  local s = pktgen.portStats("all", "port")
  return s[0].opackets, s[1].ipackets
end

-- One trial: @return frames sent and received.
function M.trial(rate, seconds)
  pktgen.clr()
  pktgen.delay(100)
  local sent, received = stats()
  pktgen.set("0", "rate", rate)
  pktgen.start("0")
  pktgen.delay(math.floor(seconds * 1000))
  pktgen.stop("0")
  pktgen.delay(M.drain_ms)
  local sent_now, received_now = stats()
  return sent_now - sent, received_now - received
end

-- Highest rate (percent of what the port can send) at which nothing is lost, by halves.
function M.search(seconds)
  local low, high, best = 0, 100, { rate = 0, sent = 0, received = 0 }
  for round = 1, M.rounds do
    local rate = round == 1 and 100 or (low + high) / 2
    local sent, received = M.trial(rate, seconds)
    if sent > 0 and received >= sent then
      low, best = rate, { rate = rate, sent = sent, received = received }
      if round == 1 then
        break
      end
    else
      high = rate
    end
  end
  return best
end

-- One frame size; the first `hosts` pairs of hosts, `flows` source ports.
function M.plain(leases, size, hosts, flows)
  local first, last = leases[1], leases[hosts]
  pktgen.set("all", "count", 0)
  pktgen.set_range("0", "off")
  pktgen.set("0", "seq_cnt", 0)
  if hosts == 1 and flows == 1 then
    pktgen.set_mac("0", "src", first[1].mac)
    pktgen.set_mac("0", "dst", first[1].next)
    pktgen.set_ipaddr("0", "src", first[1].ip .. "/32")
    pktgen.set_ipaddr("0", "dst", first[2].ip)
    pktgen.set_proto("0", "udp")
    pktgen.set("0", "size", size + 4) -- Pktgen counts the FCS
    return
  end
  -- Sources keep their MACs: a gateway refuses a host that speaks with another one's. So many hosts are a sequence, many flows a range.
  if hosts > 1 then
    M.sequence(leases, { size }, hosts)
    return
  end
  pktgen.src_mac("0", "start", first[1].mac)
  pktgen.dst_mac("0", "start", first[1].next)
  pktgen.src_ip("0", "start", first[1].ip)
  pktgen.src_ip("0", "inc", "0.0.0.0")
  pktgen.dst_ip("0", "start", last[2].ip)
  pktgen.dst_ip("0", "inc", "0.0.0.0")
  pktgen.src_port("0", "start", 1024)
  pktgen.src_port("0", "inc", 1)
  pktgen.src_port("0", "min", 1024)
  pktgen.src_port("0", "max", 1024 + flows - 1)
  pktgen.dst_port("0", "start", 9)
  pktgen.dst_port("0", "inc", 0)
  pktgen.pkt_size("0", "start", size + 4)
  pktgen.pkt_size("0", "inc", 0)
  pktgen.set_proto("0", "udp")
  pktgen.set_range("0", "on")
end

M.sequence_max = 16 -- Pktgen's NUM_SEQ_PKTS

-- Sizes in turn, hosts in turn.
function M.sequence(leases, sizes, hosts)
  local n = math.min(M.sequence_max, math.max(#sizes, hosts))
  for i = 0, n - 1 do
    local pair = leases[i % hosts + 1]
    pktgen.seqTable(i, "0", {
      eth_dst_addr = pair[1].next,
      eth_src_addr = pair[1].mac,
      ip_dst_addr = pair[2].ip,
      ip_src_addr = pair[1].ip .. "/32",
      sport = 1024 + i,
      dport = 9,
      ethType = "ipv4",
      ipProto = "udp",
      vlanid = 1,
      pktSize = sizes[i % #sizes + 1] + 4,
    })
  end
  pktgen.set("0", "seq_cnt", n)
end

-- Several gateways on a segment: whose hosts' frames go to which is told by the MAC that answered for the opposite host, one per slot. Pairs that
-- take turns among the slots, as many as a sequence holds: what one gateway gets of them is its share of the slots.
function M.by_slot(leases)
  local slots, order, out = {}, {}, {}
  for _, pair in ipairs(leases) do
    local mac = pair[1].next
    if slots[mac] == nil then
      slots[mac] = {}
      order[#order + 1] = mac
    end
    table.insert(slots[mac], pair)
  end
  local turn = 1
  while #out < math.min(M.sequence_max, #leases) do
    for _, mac in ipairs(order) do
      local pair = slots[mac][turn]
      if pair ~= nil and #out < M.sequence_max then
        out[#out + 1] = pair
      end
    end
    turn = turn + 1
  end
  return out, #order
end

-- 7:4:1 of 64, 570 and 1420 bytes, mixed.
M.imix = { 64, 570, 64, 64, 570, 64, 1420, 64, 570, 64, 570, 64 }

function M.run(o)
  local lines = {}
  local function case(name, prepare)
    prepare()
    local best = M.search(o.seconds)
    lines[#lines + 1] = string.format(
      '{"case":"%s","kind":"zero-loss","seconds":%g,"rate_percent":%.2f,"received_pps":%.0f}',
      name, o.seconds, best.rate, best.received / o.seconds)
    print(lines[#lines])
  end
  for _, size in ipairs(o.sizes) do
    case(size .. "/one", function() M.plain(o.leases, size, 1, 1) end)
    case(size .. "/flows", function() M.plain(o.leases, size, 1, o.flows) end)
    if #o.leases > 1 then
      case(size .. "/hosts", function() M.plain(o.leases, size, #o.leases, 1) end)
    end
    local pairs_by_slot, slots = M.by_slot(o.leases)
    if slots > 1 then
      case(size .. "/slots", function() M.plain(pairs_by_slot, size, #pairs_by_slot, 1) end)
    end
  end
  case("imix", function() M.sequence(o.leases, M.imix, 1) end)
  return lines
end

if pktgen ~= nil and LEASES ~= nil then
  local lines = M.run({ leases = LEASES, sizes = SIZES or { 64, 1420 }, seconds = SECONDS or 10, flows = FLOWS or 1024 })
  if OUTPUT ~= nil then
    local f = assert(io.open(OUTPUT, "w"))
    f:write(table.concat(lines, "\n"), "\n")
    f:close()
  end
  pktgen.quit()
end

return M
