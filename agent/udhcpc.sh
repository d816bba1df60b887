#!/bin/sh
# What udhcpc calls with a lease: address, route and name servers for one interface. It trusts nothing in
# them: whoever answers is authenticated by TLS, whoever lies can only keep this machine from booting.
case $1 in bound | renew) ;; *) exit 0 ;; esac
: "${interface:?}" "${ip:?}"

ip addr flush dev "$interface"
ip addr add "$ip/${mask:-24}" dev "$interface" || exit
for gateway in ${router:-}; do
  ip route replace default via "$gateway" dev "$interface" && break
done
: >/etc/resolv.conf
for server in ${dns:-}; do
  echo "nameserver $server" >>/etc/resolv.conf
done
