#!/bin/sh
# What containers of the cluster "@CLUSTER@" may reach. Made by: clusteria firewall
# usage: sh THIS start|stop    as root on each machine, as often as one likes
set -eu
bridge=@BRIDGE@ out=@BRIDGE@-out in=@BRIDGE@-in

rules() {
@RULES@
}

# The engine asks the machine's name servers from within the container's network, but for those on 127.0.0.0/8.
names() {
    cat /run/systemd/resolve/resolv.conf /etc/resolv.conf 2>/dev/null |
        awk '$1 == "nameserver" && $2 ~ /^[0-9.]+$/ && $2 !~ /^127\./ { print $2 }' | sort -u |
        while read -r server; do
            for chain in "$out" "$in"; do
                add "$chain" -d "$server" -p udp --dport 53 -j RETURN
                add "$chain" -d "$server" -p tcp --dport 53 -j RETURN
            done
        done
}

add() { iptables -w -A "$@"; }
hook() { iptables -w -I "$1" 1 -i "$bridge" -j "$2"; }
unhook() { while iptables -w -D "$1" -i "$bridge" -j "$2" 2>/dev/null; do :; done; }
empty() { iptables -w -F "$1" 2>/dev/null || iptables -w -N "$1"; }
# From elsewhere nobody gets to a container, who knows the way to its network: only by a port that the engine has published.
outside() { iptables -w "$@" -o "$bridge" ! -i "$bridge" -m conntrack ! --ctstate ESTABLISHED,RELATED,DNAT -j DROP; }
remove() { if iptables -w -F "$1" 2>/dev/null; then iptables -w -X "$1"; fi; }
unhook6() { while ip6tables -w -D "$1" -i "$bridge" -j DROP 2>/dev/null; do :; done; }

stop() {
    unhook INPUT "$in"
    unhook DOCKER-USER "$out"
    while outside -D DOCKER-USER 2>/dev/null; do :; done
    remove "$in"
    remove "$out"
    unhook6 INPUT
    unhook6 FORWARD
}

start() {
    stop
    # The engine makes this chain; before its first start there is none.
    iptables -w -N DOCKER-USER 2>/dev/null || true
    empty "$out"
    empty "$in"
    rules
    hook INPUT "$in"
    hook DOCKER-USER "$out"
    outside -I DOCKER-USER
    # Containers have no IPv6 address but their link-local one, which leads to this host.
    for chain in INPUT FORWARD; do
        ip6tables -w -I "$chain" 1 -i "$bridge" -j DROP 2>/dev/null || true
    done
}

case ${1:-} in
start) start ;;
stop) stop ;;
*) echo "usage: sh $0 start|stop" >&2 && exit 2 ;;
esac
