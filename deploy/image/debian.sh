# shellcheck shell=bash
# Debian and Ubuntu roots without an image registry. To be sourced by a recipe's `make`, as root.

# The mirror that this machine's apt uses for suite $1, so that what works for apt works here; nothing if it has none.
mirror_of() {
    # shellcheck disable=SC2016 # these are apt's own words
    apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
        awk -v suite="$1" '$2 == suite && $3 == "main" { print $1; exit }'
}

use_apts_proxy() {
    local proxy
    eval "$(apt-config shell proxy Acquire::http::Proxy)"
    if [[ -n ${proxy:-} && $proxy != DIRECT ]]; then export http_proxy=$proxy; fi
}

# bootstrap FOLDER SUITE MIRROR PACKAGE...: an empty mirror is debootstrap's own choice.
bootstrap() {
    local root=$1 suite=$2 mirror=$3 include
    shift 3
    use_apts_proxy
    # Nothing here must survive a power cut, so dpkg need not wait for the disk.
    mkdir -p "$root/etc/dpkg/dpkg.cfg.d"
    echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/unsafe-io"
    include=$(IFS=, && echo "$*")
    debootstrap --variant=minbase --include="$include" "$suite" "$root" ${mirror:+"$mirror"}
}

# What nobody reads in a container. Licences stay.
trim() {
    local root=$1
    find "$root/usr/share/doc" -mindepth 1 ! -type d ! -name copyright -delete
    find "$root/usr/share/doc" -mindepth 1 -type d -empty -delete
    find "$root/usr/share/locale" -mindepth 1 -maxdepth 1 ! -name 'en*' ! -name 'fr*' -exec rm -rf {} +
    rm -rf "$root"/usr/share/man/* "$root"/usr/share/info/* "$root"/usr/share/lintian "$root"/usr/share/groff
    rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb
    rm -rf "$root"/var/cache/debconf/*-old "$root"/var/log/* "$root"/debootstrap "$root"/tmp/*
    # This machine's names are not the container's. In an engine's build they are mounts, and not part of the image.
    rm -f "$root/etc/hostname" "$root/etc/resolv.conf" 2>/dev/null || true
    : >"$root/etc/machine-id"
}
