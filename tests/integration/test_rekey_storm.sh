# SPDX-License-Identifier: BSD-3-Clause
# New keys every second, new handshakes every two, and meanwhile both gateways roll over to a second CA: numbered datagrams both ways, ping -f
# and TCP cross all the while, and not one packet is lost, by their own numbers.
. "$(dirname "$0")/begin.sh"
for tool in iperf3 jq /usr/bin/python3; do command -v $tool >/dev/null || { echo "needs $tool"; exit 77; }; done
talk() { local ns=$1; shift; in_ns "$ns" /usr/bin/python3 "$TOP/tests/integration/talk.py" "$@"; }

two_sites
make_pki a b
for site in a b; do
	write_config $site "$([ $site = a ] || echo '"198.51.100.2:7845"')" 'debug = { sa_rekey = "1s"; link_renew = "2s"; };'
	cp "$STATE/pki/ca.crt" "$STATE/$site.ca"
	sed -i "s|ca = .*|ca = \"$STATE/$site.ca\";|" "$STATE/$site.conf"
	start_gateway $site
done
ctl a namespace create demo --subnet 10.128.0.0/16 --lease 3600 >/dev/null
for site in a b; do wait_for "gateway $site to serve" gateway_ready $site; done
dhclient_get a-h1
dhclient_get b-h1
a1=$(address_of a-h1) b1=$(address_of b-h1)
wait_for "ping across" in_ns a-h1 ping -c 1 -W 1 "$b1"

peer() { ctl a show peers --json | jq ".[0].$1"; }
rekeyed() { [ "$(peer sa_generation)" -ge "$1" ]; }
hup() { for s in a b; do kill -HUP "$(cat "$STATE/$s.pid")"; done; }
taken() { for s in a b; do [ "$(grep -c 'taken over, links are renewed' "$STATE/$s.log")" -ge "$1" ] || return 1; done; }
shown() { for s in a b; do ctl $s show peers --json | jq -e 'all(.[]; .expires == "2031-01-01T00:00:00Z")' >/dev/null || return 1; done; }

echo "== traffic"
pids=()
# begin FILE COMMAND...: in the background, its pid kept for the end.
begin() {
	local out=$1
	shift
	"$@" >"$out" 2>"$out.log" &
	echo $! >"$STATE/$(basename "$out").pid"
	pids+=($!)
}
begin "$STATE/at-b" talk b-h1 take "$STATE/b.ready" 9000
begin "$STATE/at-a" talk a-h1 take "$STATE/a.ready" 9000
wait_for "the receivers" test -e "$STATE/a.ready" -a -e "$STATE/b.ready"
begin "$STATE/from-a" talk a-h1 give "$b1" 9000 1000 "$STATE/stop"
begin "$STATE/from-b" talk b-h1 give "$a1" 9000 1000 "$STATE/stop"
in_ns b-h1 iperf3 -s -1 -D >/dev/null
wait_for "iperf3 server" in_ns b-h1 sh -c 'ss -ltn | grep -q 5201'
begin "$STATE/iperf3" in_ns a-h1 iperf3 -c "$b1" -t 12 -b 10M -J
# The flood itself waits for each answer; its number is what it sent and what came back.
begin "$STATE/flood" in_ns a-h1 ping -f -c 8000 -W 5 -q "$b1"
first=$(peer sa_generation)
renewals=$(peer renewals 2>/dev/null || echo null)

echo "== roll-over meanwhile"
pki init --dir "$STATE/pki2" --name "second CA" >/dev/null
wait_for "three rekeys before" rekeyed $((first + 3))
for site in a b; do "$CTL" pki bundle --out "$STATE/$site.ca" "$STATE/pki/ca.crt" "$STATE/pki2/ca.crt" >/dev/null; done
hup
wait_for "both to trust both" taken 1
for site in a b; do
	"$CTL" pki request --name gw-$site --out "$STATE/pki" >/dev/null
	pki sign "$STATE/pki/gw-$site.csr" --dir "$STATE/pki2" --site site-$site --namespace demo --role gateway --until 2031-01-01T00:00:00Z --out "$STATE/pki" >/dev/null
done
hup
wait_for "the new certificates" taken 2
wait_for "handshakes with them" shown
for site in a b; do cp "$STATE/pki2/ca.crt" "$STATE/$site.ca"; done
hup
wait_for "the new CA alone" taken 3
wait_for "ten rekeys in all" rekeyed $((first + 10))
for name in iperf3 flood; do wait_for "$name to end" gone "$(cat "$STATE/$name.pid")"; done
touch "$STATE/stop"
for pid in "${pids[@]}"; do wait_for "the traffic's end" gone "$pid"; done
rm -f "$STATE"/{at-a,at-b,from-a,from-b,iperf3,flood}.pid

echo "generation $first -> $(peer sa_generation), renewals $renewals -> $(peer renewals)"
for end in a b; do
	cat "$STATE/at-$end"
	jq -e '.sent > 3000 and .lost == 0 and .twice == 0' "$STATE/at-$end" >/dev/null || fail "numbered datagrams were lost on the way to $end"
done
tail -n 3 "$STATE/flood"
# For its last answer ping waits no longer than twice the longest round trip; the numbered datagrams leave none out.
[ "$(awk '/packets transmitted/ { print $1 - $4 }' "$STATE/flood")" -le 1 ] || fail "ping -f lost packets"
jq -e '.end.sum_received.bytes > 1000000' "$STATE/iperf3" >/dev/null || fail "TCP did not flow"
[ "$(grep -c 'link up' "$STATE/a.log")" = 1 ] || fail "the link itself went down"
for site in a b; do
	ctl $site show drops --json | jq -e 'all(.[]; .reason != "NO_SA" and .reason != "ESP_SPI" and .reason != "ESP_AUTH" and .reason != "ESP_REPLAY" and .reason != "SA_EXPIRED")' >/dev/null ||
		fail "site $site dropped packets of an SA: $(ctl $site show drops)"
done
