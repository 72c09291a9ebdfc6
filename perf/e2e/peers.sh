# SPDX-License-Identifier: BSD-3-Clause
# What a user would choose instead: each start_NAME brings up vpn0 in both gateways' namespaces, 10.9.0.1 at a and 10.9.0.2 at b, with the
# package's own defaults for ciphers. @return 77 with a reason on standard output where it is not there.

needs() {
	local tool
	for tool in "$@"; do
		command -v "$tool" >/dev/null || { echo "needs $tool"; return 77; }
	done
}

# spawn NAMESPACE COMMAND...: ends with the case.
spawn() {
	local ns=$1
	shift
	ip netns exec "$PREFIX-$ns" "$@" >>"$STATE/peer.log" 2>&1 &
	case_pids+=($!)
}

vpn_up() { in_ns a-gw ping -c 1 -W 1 10.9.0.2; }

start_vxlan() {
	local site
	for site in "a 203.0.113.2 1" "b 198.51.100.2 2"; do
		set -- $site
		ip -n "$PREFIX-$1-gw" link add vpn0 type vxlan id 7 remote "$2" dstport 4789 dev wan0 2>/dev/null || { echo "needs VXLAN in the kernel"; return 77; }
		ip -n "$PREFIX-$1-gw" addr add "10.9.0.$3/24" dev vpn0
		ip -n "$PREFIX-$1-gw" link set vpn0 up
	done
}

wireguard_keys() {
	local site
	for site in a b; do
		wg genkey >"$STATE/wg-$site.key"
		wg pubkey <"$STATE/wg-$site.key" >"$STATE/wg-$site.pub"
	done
}

# wireguard_set SITE OTHER ENDPOINT N [INTERFACE]
wireguard_set() {
	local dev=${5:-vpn0}
	in_ns "$1-gw" wg set "$dev" private-key "$STATE/wg-$1.key" listen-port 51820 peer "$(cat "$STATE/wg-$2.pub")" allowed-ips 0.0.0.0/0 endpoint "$3:51820"
	[ "$dev" = vpn0 ] || ip -n "$PREFIX-$1-gw" link set "$dev" name vpn0
	ip -n "$PREFIX-$1-gw" addr add "10.9.0.$4/24" dev vpn0
	ip -n "$PREFIX-$1-gw" link set vpn0 mtu 1420 up
}

start_wireguard() {
	needs wg || return
	ip -n "$PREFIX-a-gw" link add vpn0 type wireguard 2>/dev/null || { echo "needs WireGuard in the kernel"; return 77; }
	ip -n "$PREFIX-b-gw" link add vpn0 type wireguard
	wireguard_keys
	wireguard_set a b 203.0.113.2 1
	wireguard_set b a 198.51.100.2 2
}

start_wireguard_go() {
	needs wg wireguard-go || return
	[ -e /dev/net/tun ] || { echo "needs /dev/net/tun"; return 77; }
	wireguard_keys
	# Its control socket is named after the interface and does not know namespaces: two names, until both are set.
	for site in "a b 203.0.113.2 1" "b a 198.51.100.2 2"; do
		set -- $site
		spawn "$1-gw" wireguard-go -f "$PREFIX$1"
		wait_for "wireguard-go" in_ns "$1-gw" wg show "$PREFIX$1"
		wireguard_set "$1" "$2" "$3" "$4" "$PREFIX$1"
	done
}

start_n2n() {
	needs supernode edge || return
	spawn wan supernode -l 7654
	spawn a-gw edge -d vpn0 -a 10.9.0.1 -c demo -k secret -l 198.51.100.1:7654 -r -f
	spawn b-gw edge -d vpn0 -a 10.9.0.2 -c demo -k secret -l 203.0.113.1:7654 -r -f
}

start_openvpn() {
	needs openvpn openssl || return
	local site
	for site in a b; do
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$site" \
			-keyout "$STATE/ov-$site.key" -out "$STATE/ov-$site.crt" 2>/dev/null
	done
	fingerprint() { openssl x509 -in "$STATE/ov-$1.crt" -noout -fingerprint -sha256 | cut -d= -f2; }
	spawn b-gw openvpn --dev vpn0 --dev-type tun --ifconfig 10.9.0.2 10.9.0.1 --local 203.0.113.2 --port 1194 --tls-server --dh none \
		--cert "$STATE/ov-b.crt" --key "$STATE/ov-b.key" --peer-fingerprint "$(fingerprint a)"
	spawn a-gw openvpn --dev vpn0 --dev-type tun --ifconfig 10.9.0.1 10.9.0.2 --remote 203.0.113.2 1194 udp --nobind --tls-client \
		--cert "$STATE/ov-a.crt" --key "$STATE/ov-a.key" --peer-fingerprint "$(fingerprint b)"
}

start_tinc() {
	needs tincd || return
	local site other remote n
	for site in "a b 203.0.113.2 1" "b a 198.51.100.2 2"; do
		set -- $site
		mkdir -p "$STATE/tinc-$1/hosts"
		printf 'Name = %s\nInterface = vpn0\nConnectTo = %s\n' "$1" "$2" >"$STATE/tinc-$1/tinc.conf"
		printf '#!/bin/sh\nip addr add 10.9.0.%s/24 dev vpn0\nip link set vpn0 up\n' "$4" >"$STATE/tinc-$1/tinc-up"
		chmod +x "$STATE/tinc-$1/tinc-up"
		printf 'Subnet = 10.9.0.%s/32\nSubnet = 10.%s.0.0/24\n' "$4" "$4" >"$STATE/tinc-$1/hosts/$1"
		tincd -c "$STATE/tinc-$1" -K2048 </dev/null >/dev/null 2>&1
	done
	for site in "a b 203.0.113.2" "b a 198.51.100.2"; do
		set -- $site
		{ echo "Address = $3"; cat "$STATE/tinc-$2/hosts/$2"; } >"$STATE/tinc-$1/hosts/$2"
	done
	for site in a b; do
		spawn "$site-gw" tincd -c "$STATE/tinc-$site" -D --pidfile="$STATE/tinc-$site.pid"
	done
}

start_fastd() {
	needs fastd || return
	local site
	for site in a b; do
		fastd --generate-key 2>/dev/null | sed -n 's/^Secret: //p;s/^Public: //p' >"$STATE/fastd-$site.keys"
	done
	for site in "a b 203.0.113.2 1" "b a 198.51.100.2 2"; do
		set -- $site
		cat >"$STATE/fastd-$1.conf" <<-CONF
			interface "vpn0"; mode tun; mtu 1400; method "salsa2012+umac"; bind any:10000;
			secret "$(sed -n 1p "$STATE/fastd-$1.keys")";
			peer "$2" { key "$(sed -n 2p "$STATE/fastd-$2.keys")"; remote $3:10000; }
			on up "ip addr add 10.9.0.$4/24 dev vpn0; ip link set vpn0 up";
		CONF
		spawn "$1-gw" fastd -c "$STATE/fastd-$1.conf"
	done
}

start_nebula() {
	needs nebula nebula-cert || return
	local site
	(cd "$STATE" && nebula-cert ca -name ca -out-crt nb-ca.crt -out-key nb-ca.key &&
		nebula-cert sign -ca-crt nb-ca.crt -ca-key nb-ca.key -name a -ip 10.9.0.1/24 -subnets 10.1.0.0/24 -out-crt nb-a.crt -out-key nb-a.key &&
		nebula-cert sign -ca-crt nb-ca.crt -ca-key nb-ca.key -name b -ip 10.9.0.2/24 -subnets 10.2.0.0/24 -out-crt nb-b.crt -out-key nb-b.key) >/dev/null
	for site in "a b 203.0.113.2 1 2" "b a 198.51.100.2 2 1"; do
		set -- $site
		cat >"$STATE/nb-$1.yml" <<-CONF
			pki: { ca: $STATE/nb-ca.crt, cert: $STATE/nb-$1.crt, key: $STATE/nb-$1.key }
			static_host_map: { "10.9.0.$5": ["$3:4242"] }
			lighthouse: { am_lighthouse: $([ "$1" = b ] && echo true || echo false), hosts: [$([ "$1" = b ] || echo '"10.9.0.2"')] }
			listen: { host: 0.0.0.0, port: 4242 }
			tun: { dev: vpn0, mtu: 1400, unsafe_routes: [ { route: 10.$5.0.0/24, via: 10.9.0.$5 } ] }
			firewall: { outbound: [ { port: any, proto: any, host: any } ], inbound: [ { port: any, proto: any, host: any } ] }
		CONF
		spawn "$1-gw" nebula -config "$STATE/nb-$1.yml"
	done
}
