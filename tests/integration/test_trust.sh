#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Certificates renewed and the CA rolled over under traffic, not one packet lost; then a revocation: told to one gateway, enforced at
# all of them on the links that stand, remembered over a restart.
. "$(dirname "$0")/begin.sh"

two_sites
add_site c 192.0.2.2 192.0.2.1
make_pki a b c
for site in a b c; do write_config $site "$([ $site = a ] || echo '"198.51.100.2:7845"')" 'debug = { sa_rekey = "5s"; };'; done
for site in a b c; do
	cp "$STATE/pki/ca.crt" "$STATE/$site.ca"
	sed -i "s|ca = .*|ca = \"$STATE/$site.ca\";|" "$STATE/$site.conf"
	start_gateway $site
done
ctl a namespace create demo --subnet 10.128.0.0/16 --lease 3600 >/dev/null
for site in a b c; do wait_for "gateway $site to serve" gateway_ready $site; done
for site in a b; do dhclient_get $site-h1; done
target=$(address_of b-h1)
wait_for "first ping" in_ns a-h1 ping -c 1 -W 1 "$target"
links_of() { ctl "$1" show peers --json | jq length; }
for site in a b c; do wait_for "all linked at $site" bash -c "[ \$($CTL -s $STATE/$site.sock show peers --json | jq length) = 2 ]"; done
hup() { for s in "$@"; do kill -HUP "$(cat "$STATE/$s.pid")"; done; }
taken() { [ "$(grep -c 'taken over, links are renewed' "$STATE/$1.log")" -ge "$2" ]; }
# Everybody sees certificates that end then.
seen() { for s in a b c; do ctl $s show peers --json | jq -e "length == 2 and all(.[]; .expires == \"$1\")" >/dev/null || return 1; done; }

# In the background a shell ignores the interrupt that makes ping say its sums.
in_ns a-h1 bash -c 'echo $$ >"$1"; exec env --default-signal=INT ping -i 0.01 "$2"' _ "$STATE/ping.pid" "$target" \
	>"$STATE/ping.log" 2>&1 &
pinger=$!

echo "== renewal"
was=$(ctl b status --json | jq -r .certificate.not_after)
pki renew "$STATE/pki/gw-b.crt" --days 20 >/dev/null
hup b
wait_for "b to take its renewed certificate" taken b 1
[ "$(ctl b status --json | jq .certificate.days_left)" -le 20 ] || fail "status: $was stayed"
says "renew this gateway" ctl b status || fail "no warning in the status"
grep -q "expires in" "$STATE/b.log" || fail "no warning in the log"

echo "== a new key is a new node"
cp "$STATE/pki/gw-b.crt" "$STATE/kept.crt" && cp "$STATE/pki/gw-b.key" "$STATE/kept.key"
pki issue --name gw-b --site site-b --namespace demo --force >/dev/null
hup b
wait_for "the refusal" grep -q "has another key" "$STATE/b.log"
cp "$STATE/kept.crt" "$STATE/pki/gw-b.crt" && cp "$STATE/kept.key" "$STATE/pki/gw-b.key"
hup b

echo "== roll-over to a second CA: both trusted, then new certificates, then the old one goes"
pki init --dir "$STATE/pki2" --name "second CA" >/dev/null
for site in a b c; do "$CTL" pki bundle --out "$STATE/$site.ca" "$STATE/pki/ca.crt" "$STATE/pki2/ca.crt" >/dev/null; done
hup a b c
for site in a c; do wait_for "$site to trust both" taken $site 1; done
wait_for "b to trust both" taken b 2
for site in a b c; do
	"$CTL" pki request --name gw-$site --out "$STATE/pki" >/dev/null
	pki sign "$STATE/pki/gw-$site.csr" --dir "$STATE/pki2" --site site-$site --namespace demo --role gateway --until 2031-01-01T00:00:00Z --out "$STATE/pki" >/dev/null
	hup $site
done
for site in a c; do wait_for "$site to show its new certificate" taken $site 2; done
wait_for "b to show its new certificate" taken b 3
wait_for "handshakes with the new certificates" seen 2031-01-01T00:00:00Z
for site in a b c; do
	cp "$STATE/pki2/ca.crt" "$STATE/$site.ca"
	hup $site
done
for site in a c; do wait_for "$site to trust the new CA alone" taken $site 3; done
sleep 1
kill -INT "$(cat "$STATE/ping.pid")"
wait $pinger || true
rm "$STATE/ping.pid"
tail -n 3 "$STATE/ping.log"
# By sequence numbers: the very last may have been on its way when ping was stopped.
python3 - "$STATE/ping.log" <<-'PY' || fail "packets were lost"
	import re, sys
	seen = {int(n) for n in re.findall(r"icmp_seq=(\d+)", open(sys.argv[1]).read())}
	missing = sorted(set(range(1, max(seen) + 1)) - seen)
	print(len(seen), "answers, missing:", missing)
	sys.exit(bool(missing) or len(seen) < 200)
PY
for site in a b c; do grep "link down" "$STATE/$site.log" && fail "a link of $site went down"; done

echo "== a node that missed the roll-over is refused"
"$CTL" pki request --name gw-c --out "$STATE/pki" >/dev/null
pki sign "$STATE/pki/gw-c.csr" --site site-c --namespace demo --role gateway --out "$STATE/pki" >/dev/null
stop_gateway c
cp "$STATE/pki/ca.crt" "$STATE/c.ca"
start_gateway c
wait_for "the refusal of an old certificate" grep -q "refused: certificate is not signed by our CA" "$STATE/a.log" "$STATE/c.log"
[ "$(links_of c)" = 0 ] || fail "c is linked with the old CA's certificate"
stop_gateway c
pki sign "$STATE/pki/gw-c.csr" --dir "$STATE/pki2" --site site-c --namespace demo --role gateway --out "$STATE/pki" >/dev/null
cp "$STATE/pki2/ca.crt" "$STATE/c.ca"
start_gateway c
wait_for "c to be back" bash -c "[ \$($CTL -s $STATE/c.sock show peers --json | jq length) = 2 ]"

echo "== revocation"
pki revoke gw-c --dir "$STATE/pki2" --reason stolen --out "$STATE/c.rev" >/dev/null
pki revoke "$STATE/pki/gw-b.crt" --dir "$STATE/pki" --out "$STATE/wrong.rev" >/dev/null
says "not signed by a CA" ctl a revoke "$STATE/wrong.rev" || fail "a CA that is not trusted any more may still revoke"
ctl a revoke "$STATE/c.rev" >/dev/null || fail "revoke"
began=$SECONDS
for site in a b; do
	wait_for "$site without c" bash -c "[ \$($CTL -s $STATE/$site.sock show peers --json | jq length) = 1 ]"
	says stolen ctl $site show revocations || fail "$site does not know why"
done
echo "everywhere after $((SECONDS - began)) s"
says "identity is revoked" ctl c status || echo "c was cut off before it heard"
wait_for "c at the door" grep -q "refused: its identity is revoked" "$STATE/a.log"
stop_gateway a
start_gateway a
wait_for "gateway a to serve again" gateway_ready a
says stolen ctl a show revocations || fail "a forgot"
wait_for "a and b" in_ns a-h1 ping -c 1 -W 1 "$target"
[ "$(links_of a)" = 1 ] || fail "c is linked again"
