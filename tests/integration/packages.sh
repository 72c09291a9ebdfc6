# SPDX-License-Identifier: BSD-3-Clause
# Debian packages by purpose, installed when they are missing.

packages_of() {
	case $1 in
	build) echo gcc meson ninja-build pkg-config libdpdk-dev liburcu-dev libssl-dev libconfig-dev libcunit1-dev \
		libprotobuf-c-dev protobuf-c-compiler libjansson-dev libcurl4-openssl-dev libmnl-dev libseccomp-dev libpcap-dev libipsec-mb-dev libmicrohttpd-dev libminiupnpc-dev libnatpmp-dev ;;
	demo) echo iproute2 ethtool iputils-ping iperf3 isc-dhcp-client udhcpc busybox procps util-linux ;;
	tests) echo curl clang cppcheck libclang-rt-14-dev dhcpcd-base tshark tcpdump python3-scapy python3 nftables jq openssl binutils \
		lua5.4 bind9-dnsutils ldnsutils dnsmasq-base dnsperf libc-bin libevent-core-2.1-7 libevent-extra-2.1-7 ;;
	esac
}

# install_packages PURPOSE...
install_packages() {
	local purpose package missing=()
	for purpose in "$@"; do
		for package in $(packages_of "$purpose"); do
			dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
				missing+=("$package")
		done
	done
	if [ ${#missing[@]} = 0 ]; then
		echo "all packages are there"
		return 0
	fi
	echo "installing: ${missing[*]}"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# unpack_package PACKAGE DIR: its files under DIR without installing it, so that no service of it is started.
unpack_package() {
	local package=$1 dir=$2
	[ ! -e "$dir/usr" ] || return 0
	mkdir -p "$dir"
	(cd "$dir" && apt-get download -qq "$package" >/dev/null 2>&1 && dpkg-deb -x "$package"_*.deb .)
}
