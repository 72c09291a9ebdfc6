# SPDX-License-Identifier: BSD-3-Clause
# A router that opens a port for us (wan.port_mapping), by a real miniupnpd: NAT-PMP, then UPnP IGD.
#
#   a (in the open)                                             198.51.100.2
#   b --- [b-nat: symmetric, with miniupnpd] --- 12.9.9.2 ---   192.168.7.2
#   c --- [c-nat: symmetric] --- 100.64.4.2 ---                 192.168.4.2
#
# b and c could only meet over a relay; with the mapping they are direct. It is announced, shown, and gone when b is: stopped or killed.
. "$(dirname "$0")/begin.sh"
. "$(dirname "$0")/nat.sh"
. "$(dirname "$0")/packages.sh"
if command -v miniupnpd >/dev/null; then
	miniupnpd=$(command -v miniupnpd)
else
	unpack_package miniupnpd-nftables "$BUILD/miniupnpd" || true
	miniupnpd=$BUILD/miniupnpd/usr/sbin/miniupnpd
fi
[ -x "$miniupnpd" ] && ! says 'not found' ldd "$miniupnpd" || { echo "needs miniupnpd, which is not there and could not be fetched"; exit 77; }

mkdir -p "$STATE"
add_wan
add_site a 198.51.100.2 198.51.100.1
nat_between b-nat 12.9.9.2 wan 12.9.9.1 masquerade to :20000-60000 fully-random
nat_between c-nat 100.64.4.2 wan 100.64.4.1 masquerade to :20000-60000 fully-random
add_site b 192.168.7.2 192.168.7.1 b-nat
add_site c 192.168.4.2 192.168.4.1 c-nat
in_ns b-nat nft insert rule ip nat forward ct status dnat accept
in_ns b-nat nft -f - <<-EOR
	table inet miniupnpd {
		chain upnp_forward { }
		chain upnp_pre { }
		chain upnp_post { }
		chain forward { type filter hook forward priority -10; jump upnp_forward; }
		chain prerouting { type nat hook prerouting priority -100; jump upnp_pre; }
		chain postrouting { type nat hook postrouting priority 90; jump upnp_post; }
	}
EOR
cat >"$STATE/miniupnpd.conf" <<-EOF
	ext_ifname=out0
	listening_ip=wan-b
	enable_natpmp=yes
	enable_upnp=yes
	secure_mode=yes
	system_uptime=yes
	uuid=00000000-0000-0000-0000-000000000001
	upnp_table_name=miniupnpd
	upnp_nat_table_name=miniupnpd
	upnp_forward_chain=upnp_forward
	upnp_nat_chain=upnp_pre
	upnp_nat_postrouting_chain=upnp_post
	allow 1024-65535 192.168.7.0/24 1024-65535
	deny 0-65535 0.0.0.0/0 0-65535
EOF
in_ns b-nat "$miniupnpd" -d -f "$STATE/miniupnpd.conf" -P "$STATE/miniupnpd.own" >"$STATE/miniupnpd.log" 2>&1 &
echo $! >"$STATE/miniupnpd.pid"
listens() { says :5351 in_ns b-nat ss -uln; }
DEADLINE_S=10 wait_for "miniupnpd" listens || { cat "$STATE/miniupnpd.log"; echo "miniupnpd does not run in a namespace of this kernel"; exit 77; }

make_pki a b c
small='idle_ceiling = "5ms";'
write_config a "" "$small"
write_config b '"198.51.100.2:7845"' "$small"
write_config c '"198.51.100.2:7845"' "$small"
use_mapping() { sed -i "s/device = \"wan0\";.*}/device = \"wan0\"; port_mapping = \"$2\"; }/" "$STATE/$1.conf"; }
status_says() { { ctl "$1" status --json || true; } | jq -e "$2" >/dev/null; }
mapped_by() { status_says b ".port_mapping | .state == \"mapped\" and .protocol == \"$1\" and .endpoint == \"12.9.9.2:7845\""; }
in_router() { says 'dnat.*192.168.7.2' in_ns b-nat nft list chain inet miniupnpd upnp_pre; }
not_in_router() { ! in_router; }

use_mapping a auto
use_mapping b nat-pmp
for site in a b c; do start_gateway $site; done
ctl a namespace create demo --subnet 10.128.0.0/16 --lease 3600 >/dev/null
for site in a b c; do wait_for "gateway $site to serve" gateway_ready $site; done

echo "== NAT-PMP"
wait_for "a mapping by NAT-PMP" mapped_by nat-pmp
in_router || fail "the router has no such mapping: $(in_ns b-nat nft list table inet miniupnpd)"
direct() { is_path b c direct && is_path c b direct; }
wait_for "b and c to be direct" direct
ctl b netcheck --json | jq -e '.port_mapping.endpoint == "12.9.9.2:7845"' >/dev/null || fail "netcheck does not say it"
status_says c '.port_mapping == null' || fail "c maps nothing, and says otherwise"
mapper=$(pgrep -P "$(cat "$STATE/b.pid")" | head -1)
[ -n "$mapper" ] || fail "there is no mapper"
grep -Eq '^Seccomp:[[:space:]]+2' "/proc/$mapper/status" || fail "the mapper is not confined"
grep -Eq '^Uid:[[:space:]]+0[[:space:]]' "/proc/$mapper/status" && fail "the mapper is root"

echo "== a gateway that dies"
stop_gateway b KILL
wait_for "the mapping to be gone" not_in_router

echo "== UPnP, and a clean stop"
use_mapping b upnp
start_gateway b
wait_for "gateway b to serve" gateway_ready b
wait_for "a mapping by UPnP" mapped_by upnp
in_router || fail "the router has no such mapping"
stop_gateway b
not_in_router || fail "the mapping outlives a clean stop"

echo "== a router that knows neither"
wait_for "a to give up" status_says a '.port_mapping | .state == "failed" and (.why | length > 0)'
gateway_ready a || fail "a router without port mapping makes a gateway degraded"
ctl a status --json | jq .port_mapping
