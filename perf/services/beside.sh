#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Our DHCP and DNS beside Kea, dnsmasq and unbound: one run, one client, one veth each, the stock load generators perfdhcp and dnsperf.
# Servers and perfdhcp come from Debian's packages, unpacked and not installed. SECONDS_EACH (5): how long each is asked.
#
#   perf/services/beside.sh        (as root)
#
# DHCP: whole exchanges of 100 clients that come again and again, by a relay agent, as perfdhcp does them.
# DNS: one name, asked over UDP by dnsperf.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../tests/integration/begin.sh"
. "$TOP/tests/integration/packages.sh"
seconds=${SECONDS_EACH:-5}
command -v dnsperf >/dev/null || { echo "needs dnsperf"; exit 77; }
for package in kea-common kea-dhcp4-server kea-admin liblog4cplus-2.0.5 libmariadb3 unbound; do
	unpack_package $package "$BUILD/beside/$package" || { echo "cannot fetch $package"; exit 77; }
done
libraries=$(printf '%s:' "$BUILD"/beside/{kea-common,liblog4cplus-2.0.5,libmariadb3}/usr/lib/"$(uname -m)-linux-gnu")
kea() { LD_LIBRARY_PATH=$libraries "$@"; }

mkdir -p "$STATE"
add_wan
add_site a 198.51.100.2 198.51.100.1
add_host a h1  # asks
add_host a srv # the others' host
make_pki a
write_config a "" 'pool = { new_per_s = 0; low = 256; high = 512; }; idle = "spin";'
start_gateway a
ctl a namespace create demo --subnet 10.128.0.0/16 --lease 3600 --domain lab.example >/dev/null
wait_for "gateway a to serve" gateway_ready a
udhcpc_get a-h1
ours=$(address_of a-h1)
in_ns a-h1 ip addr add 192.0.2.2/24 dev eth0
in_ns a-srv ip addr add 192.0.2.1/24 dev eth0

cat >"$STATE/kea.json" <<END
{"Dhcp4": {"interfaces-config": {"interfaces": ["eth0"]}, "lease-database": {"type": "memfile", "persist": true, "name": "$STATE/kea.csv", "lfc-interval": 0},
 "valid-lifetime": 3600, "subnet4": [{"subnet": "192.0.2.0/24", "pools": [{"pool": "192.0.2.10 - 192.0.2.250"}]}],
 "loggers": [{"name": "kea-dhcp4", "severity": "ERROR", "output_options": [{"output": "$STATE/kea.log"}]}]}}
END
mkdir -p "$STATE/kea"
KEA_PIDFILE_DIR=$STATE/kea KEA_LOCKFILE_DIR=$STATE/kea kea ip netns exec "$PREFIX-a-srv" "$BUILD/beside/kea-dhcp4-server/usr/sbin/kea-dhcp4" -c "$STATE/kea.json" >"$STATE/kea.out" 2>&1 &
echo $! >"$STATE/kea.pid"
wait_for "kea" in_ns a-srv sh -c 'ss -lun | grep -q ":67 "'

# exchanges SERVER LOCAL: DORAs a second that perfdhcp completes when it asks as fast as it can.
exchanges() {
	kea in_ns a-h1 "$BUILD/beside/kea-admin/usr/sbin/perfdhcp" -4 -l "$2" -R 100 -p "$seconds" -r "${3:-100000}" "$1" 2>&1 |
		awk '/^Rate:/ { print int($2); exit }'
}
echo "== DHCP exchanges a second (perfdhcp, 100 clients)"
exchanges 10.128.0.1 "$ours" 100 >/dev/null
exchanges 192.0.2.1 192.0.2.2 100 >/dev/null
echo "causewayd $(exchanges 10.128.0.1 "$ours")"
echo "kea $(exchanges 192.0.2.1 192.0.2.2)"
kill "$(cat "$STATE/kea.pid")"
rm "$STATE/kea.pid"

in_ns a-srv dnsmasq --conf-file=/dev/null --no-resolv --no-hosts --interface=eth0 --bind-interfaces --host-record=host.lab.example,10.0.0.5 \
	--pid-file="$STATE/dnsmasq.pid" --user=root
cat >"$STATE/unbound.conf" <<END
server:
  interface: 192.0.2.1@5353
  access-control: 0.0.0.0/0 allow
  username: ""
  chroot: ""
  directory: "$STATE"
  pidfile: "$STATE/unbound.pid"
  do-daemonize: yes
  use-syslog: no
  logfile: "$STATE/unbound.log"
  module-config: "iterator"
  local-zone: "lab.example." static
  local-data: "host.lab.example. A 10.0.0.5"
remote-control:
  control-enable: no
END
in_ns a-srv "$BUILD/beside/unbound/usr/sbin/unbound" -c "$STATE/unbound.conf" || echo "unbound does not start"
# queries SERVER PORT NAME
queries() {
	echo "$3 A" >"$STATE/names"
	in_ns a-h1 dnsperf -s "$1" -p "$2" -d "$STATE/names" -l "$seconds" -c 8 -q 500 2>&1 | awk '/Queries per second/ { print int($4) }'
}
echo "== DNS queries a second (dnsperf)"
echo "causewayd $(queries 10.128.0.1 53 C128000005.lab.example)"
echo "dnsmasq $(queries 192.0.2.1 53 host.lab.example)"
echo "unbound $(queries 192.0.2.1 5353 host.lab.example)"
