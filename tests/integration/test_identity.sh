# SPDX-License-Identifier: BSD-3-Clause
# Whom a gateway lets in: certificates that openssl verifies too, and nobody with another CA's; and of two gateways with one identity
# neither the first nor its hosts are disturbed. Refusals are counted and their reason is told on both sides.
. "$(dirname "$0")/begin.sh"
command -v openssl >/dev/null || { echo "needs openssl"; exit 77; }

two_sites
make_pki a b
pki=$STATE/pki

echo "== certificates"
for purpose in sslserver sslclient; do
	openssl verify -x509_strict -purpose $purpose -CAfile "$pki/ca.crt" "$pki/gw-a.crt" "$pki/gw-b.crt" || fail "openssl does not verify our certificates"
done
openssl x509 -in "$pki/gw-a.crt" -noout -text >"$STATE/text"
for line in 'ASN1 OID: prime256v1' 'CA:FALSE' 'URI:causeway:site:site-a' 'URI:causeway:namespace:demo' 'URI:causeway:role:gateway' 'ecdsa-with-SHA256'; do
	grep -q "$line" "$STATE/text" || fail "the certificate lacks $line"
done
[ "$(stat -c %a "$pki/gw-a.key" "$pki/ca.key" | sort -u)" = 600 ] || fail "private keys can be read by others"
# The node ID is the beginning of SHA-256 over the public key.
id=$(openssl x509 -in "$pki/gw-a.crt" -pubkey -noout | openssl pkey -pubin -outform DER | sha256sum | cut -c 1-40)
"$CTL" pki show "$pki/gw-a.crt" --json | jq -e --arg id "$id" '.node == $id and .site == "site-a" and .namespaces == ["demo"] and .roles == ["gateway"]' >/dev/null || fail "pki show"
rc=0
pki issue --name gw-a >/dev/null 2>&1 || rc=$?
[ $rc = 1 ] || fail "an existing key was overwritten (exit $rc)"

echo "== another CA"
pki init --dir "$STATE/pki2" >/dev/null
pki issue --dir "$STATE/pki2" --name gw-b --site site-b --namespace demo >/dev/null
write_config a ""
write_config b '"198.51.100.2:7845"'
sed -i "s|$pki/|$STATE/pki2/|" "$STATE/b.conf"
start_gateway a
ctl a namespace create demo --subnet 10.128.0.0/16 --lease 3600 >/dev/null
wait_for "gateway a to serve" gateway_ready a
udhcpc_get a-h1
start_gateway b
refused() { { ctl $1 status --json || true; } | jq -e --arg why "$2" '.counts.handshakes_refused > 0 and (.last_refusal | test($why))' >/dev/null; }
wait_for "the refusal at b" refused b 'not signed by our CA'
ctl a show peers --json | jq -e 'length == 0' >/dev/null || fail "a gateway of another CA is linked"
says 'no peer is linked' ctl b status || fail "b does not say that it is alone"
stop_gateway b
rm -rf "${STATE:?}/b"

echo "== a twin"
write_config b '"198.51.100.2:7845"'
sed -i "s|$pki/gw-b|$pki/gw-a|" "$STATE/b.conf"
start_gateway b
wait_for "the refusal at the twin" refused b 'our own node ID'
wait_for "the refusal at the first" refused a 'our own node ID'
gateway_ready a || fail "a twin degrades the first"
in_ns a-h1 ping -c 1 -W 3 10.128.0.1 >/dev/null || fail "a twin disturbs the first one's hosts"
timeout 5 ip netns exec "$PREFIX-b-h1" busybox udhcpc -q -n -t 2 -T 1 -i eth0 -s /bin/true >/dev/null 2>&1 && fail "a twin hands out addresses"
says 'refused: our own node ID' cat "$STATE/a.log" || fail "the log says nothing of the twin"
