-- SPDX-License-Identifier: BSD-3-Clause
-- Demultiplexer for Causeway's one UDP port: the first byte says what a datagram is (RFC 7983's manner).
--   tshark -X lua_script:causeway.lua -r FILE
-- A port other than the default: -X lua_script1:PORT
local port = tonumber(({...})[1]) or 7845

local causeway = Proto("causeway", "Causeway")
local stun = Dissector.get("stun-udp")
local dtls = Dissector.get("dtls")
local esp = Dissector.get("esp")

function causeway.dissector(tvb, pinfo, tree)
	if tvb:len() == 0 then
		return 0
	end
	local first = tvb(0, 1):uint()
	if first <= 3 then
		return stun:call(tvb, pinfo, tree)
	elseif first >= 20 and first <= 63 then
		return dtls:call(tvb, pinfo, tree)
	elseif first >= 128 and first < 255 then
		return esp:call(tvb, pinfo, tree)
	elseif first == 255 and tvb:len() == 1 then
		tree:add(causeway, tvb(), "NAT keepalive")
		return 1
	end
	return 0
end

DissectorTable.get("udp.port"):add(port, causeway)
