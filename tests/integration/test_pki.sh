#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The operator's CA on disk: an encrypted key, certificates by request, renewal, revocation, bundle, backup. Judged with openssl too.
. "$(dirname "$0")/begin.sh"
command -v openssl >/dev/null || { echo "needs openssl"; exit 77; }
mkdir -p "$STATE/node" "$STATE/out"
cd "$STATE"

refused() {
	local what=$1 pattern=$2
	shift 2
	"$@" >"$STATE/refused.log" 2>&1 && fail "$what was accepted"
	grep -qi -- "$pattern" "$STATE/refused.log" || { cat "$STATE/refused.log"; fail "$what: no word of '$pattern'"; }
}
field() { "$CTL" pki show "$1" --json | jq -r "$2"; }

echo "== the CA's key"
refused "a CA without a passphrase" "passphrase" setsid "$CTL" pki init --dir "$STATE/pki" </dev/null
refused "a short passphrase" "at least 8" "$CTL" pki init --dir "$STATE/pki" --passphrase-fd 3 3<<<"short"
[ ! -e pki/ca.key ] || fail "a key was left behind"
pki init >/dev/null
grep -q "BEGIN ENCRYPTED PRIVATE KEY" pki/ca.key || fail "the CA's key is in clear"
[ "$(stat -c %a pki/ca.key)" = 600 ] || fail "mode of ca.key"
openssl asn1parse -in pki/ca.key -i | grep -q scrypt || fail "the key is not under scrypt"
openssl pkey -in pki/ca.key -passin file:passphrase -noout || fail "openssl does not read the key"
refused "a second init" "File exists" pki init
refused "a wrong passphrase" "wrong passphrase" \
	"$CTL" pki issue --dir pki --name x --passphrase-fd 3 3<<<"not this one"
pki issue --name one --site s1 --namespace demo >/dev/null
# A passphrase has no place on the command line or in the environment.
"$CTL" pki --help | grep -q -- "--passphrase " && fail "a passphrase on the command line"

echo "== certificates"
openssl verify -CAfile pki/ca.crt pki/one.crt >/dev/null || fail "openssl does not verify one.crt"
[ "$(field pki/one.crt .site)" = s1 ] && [ "$(field pki/one.crt '.roles | join(",")')" = gateway ] || fail "show"
node=$(field pki/one.crt .node)
openssl x509 -in pki/one.crt -noout -ext subjectAltName | grep -q "causeway:node:$node" || fail "no node ID in the certificate"
want=$(openssl x509 -in pki/one.crt -pubkey -noout | openssl pkey -pubin -outform DER | sha256sum | cut -c1-40)
[ "$node" = "$want" ] || fail "the node ID is not the key's hash"

echo "== by request: the node's key stays where it is"
"$CTL" pki request --name two --site s2 --namespace demo --role gateway --role operator --out node >/dev/null
openssl req -in node/two.csr -verify -noout 2>/dev/null || fail "openssl does not verify the request"
refused "a request without a word about what is granted" "as-requested" pki sign node/two.csr --out out
grep -q "role:operator" refused.log || fail "sign does not show what is asked for"
pki sign node/two.csr --site s2 --namespace demo --out out >/dev/null
[ "$(field out/two.crt '.roles | join(",")')" = gateway ] || fail "more was granted than was said"
cmp <(openssl pkey -in node/two.key -pubout) <(openssl x509 -in out/two.crt -pubkey -noout) || fail "another key"
pki sign node/two.csr --as-requested --out out >/dev/null
[ "$(field out/two.crt '.roles | join(",")')" = gateway,operator ] || fail "not as requested"
cp node/two.key before.key
"$CTL" pki request --name two --site s9 --out node >/dev/null
cmp node/two.key before.key || fail "asking again made a new key"
openssl req -new -newkey rsa:2048 -nodes -keyout rsa.key -subj /CN=rsa -out rsa.csr 2>/dev/null
refused "an RSA key" "P-256" pki sign rsa.csr --as-requested
sed '3s/./A/3' node/two.csr >bent.csr
refused "a bent request" "its own key\|no certificate request" pki sign bent.csr --as-requested

echo "== renewal keeps key and names"
cp pki/one.crt old.crt
pki renew pki/one.crt --days 900 >/dev/null
[ "$(field pki/one.crt .node)" = "$node" ] && [ "$(field pki/one.crt .site)" = s1 ] || fail "renewal changed the node"
[ "$(field pki/one.crt .serial)" != "$(field old.crt .serial)" ] || fail "the same serial number"
[ "$(field pki/one.crt .days_left)" -ge 898 ] || fail "days_left"
pki renew pki/one.crt --days 36000 >/dev/null
[ "$(field pki/one.crt .not_after)" = "$(field pki/ca.crt .not_after)" ] || fail "it outlives its CA"

echo "== revocation"
pki revoke one --reason "stolen laptop" --out one.rev >/dev/null
[ "$(field one.rev .node)" = "$node" ] && [ "$(field one.rev .reason)" = "stolen laptop" ] || fail "show of a revocation"
[ "$(field one.rev .ca)" = "$(field pki/ca.crt .key_id)" ] || fail "not this CA's revocation"
refused "renewal of a revoked node" "revoked" pki renew pki/one.crt
refused "revocation of an unknown name" "neither" pki revoke nobody
pki issue --name two --force >/dev/null
refused "an ambiguous name" "more than one key" pki revoke two
pki revoke "$(field out/two.crt .node)" >/dev/null

echo "== two CAs in a bundle"
pki init --dir pki2 --name "second CA" >/dev/null
"$CTL" pki bundle --out bundle.crt pki/ca.crt pki2/ca.crt pki/ca.crt >/dev/null
[ "$("$CTL" pki show bundle.crt --json | jq length)" = 2 ] || fail "a bundle of two"
openssl verify -CAfile bundle.crt pki/two.crt >/dev/null || fail "openssl with the bundle"
refused "a node in a bundle" "no CA" "$CTL" pki bundle --out no.crt pki/ca.crt pki/two.crt

echo "== passphrase, backup, restore"
echo "another passphrase" >passphrase.new
pki passphrase --new-passphrase-file passphrase.new
refused "the old passphrase" "wrong passphrase" pki issue --name three
cp passphrase.new passphrase
pki issue --name three >/dev/null
pki backup --out backup.pem >/dev/null
[ "$(stat -c %a backup.pem)" = 600 ] || fail "mode of the backup"
grep -q "BEGIN PRIVATE KEY" backup.pem && fail "a key in clear in the backup"
pki restore backup.pem --dir pki3 >/dev/null
pki issue --dir pki3 --name four >/dev/null
openssl verify -CAfile pki/ca.crt pki3/four.crt >/dev/null || fail "the restored CA is another one"
refused "renewal of a revoked node at the restored CA" "revoked" pki renew --dir pki3 old.crt
sed '/BEGIN ENCRYPTED/{n;s/....../AAAAAA/}' backup.pem >damaged.pem
refused "a damaged backup" "" pki restore damaged.pem --dir pki4

echo "== one site per node, and files that are not there"
rc=0
pki issue --name two-sites --site one --site two >"$STATE/said" 2>&1 || rc=$?
[ $rc = 2 ] && grep -q 'one site per node' "$STATE/said" || fail "two sites for one node: exit $rc"
rc=0
"$CTL" pki show "$STATE/none.crt" >"$STATE/said" 2>&1 || rc=$?
[ $rc = 1 ] && grep -q 'none.crt: No such file' "$STATE/said" || fail "pki show of a file that is not there: exit $rc"
echo "all of it holds"
