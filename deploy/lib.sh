# shellcheck shell=bash
# Shell pieces shared by deploy/ and tests/. To be sourced by bash; it changes nothing by itself.

# The engine that everything here speaks to, whatever docker context the user has chosen.
CLUSTERIA_ENGINE=${CLUSTERIA_ENGINE:-unix:///var/run/docker.sock}

# Needed to build clusteria; deploy/try and tests/run add what they need beyond it.
# shellcheck disable=SC2034 # they use it
BUILD_PACKAGES=(build-essential musl-tools pkg-config git curl ca-certificates)

if [[ -t 2 && -z ${NO_COLOR:-} ]]; then BOLD=$'\e[1m' RESET=$'\e[0m'; else BOLD='' RESET=''; fi

say() { printf '%s==>%s %s\n' "$BOLD" "$RESET" "$*" >&2; }
note() { printf '    %s\n' "$*" >&2; }
fail() {
    printf '%serror:%s %s\n' "$BOLD" "$RESET" "$1" >&2
    shift
    local line
    for line in "$@"; do note "$line"; done
    exit 1
}

is_root() { [[ $EUID -eq 0 ]]; }

# Runs a command as root: directly, or by sudo.
as_root() {
    if is_root; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -- "$@"
    else
        fail "this needs root, and there is no sudo here" "run it as root, or install sudo: $*"
    fi
}

need_debian_amd64() {
    [[ $(uname -s) == Linux && $(uname -m) == x86_64 ]] ||
        fail "clusteria is built for Linux on x86_64; this is $(uname -s) on $(uname -m)"
    command -v apt-get >/dev/null ||
        fail "no apt-get here: this installs what is missing on Debian and Ubuntu only" \
            "elsewhere, install a Rust toolchain, musl-gcc, debootstrap and Docker Engine, then: cargo build --release"
}

is_installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

missing_packages() {
    local package
    for package in "$@"; do is_installed "$package" || printf '%s\n' "$package"; done
}

# Installs those of the named packages that are missing; costs nothing when none is.
need_packages() {
    local -a missing
    mapfile -t missing < <(missing_packages "$@")
    ((${#missing[@]})) || return 0
    say "installing ${missing[*]}"
    # An unreachable repository that has nothing to do with us must not stop this: the install below tells.
    as_root apt-get update -q >&2 || note "apt-get update had errors; going on with the lists there are"
    as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a \
        apt-get install -q -y --no-install-recommends "${missing[@]}" >&2 ||
        fail "apt-get could not install: ${missing[*]}"
}

# Rust --------------------------------------------------------------------------------------------

# A toolchain new enough for Cargo.toml in folder $1, with the target that .cargo/config.toml names.
ensure_rust() {
    local root=$1 target=x86_64-unknown-linux-musl
    [[ -d ${CARGO_HOME:-$HOME/.cargo}/bin ]] && PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
    if ! rust_is_ready "$root" "$target"; then
        command -v rustup >/dev/null || install_rustup
        say "setting up the Rust toolchain of rust-toolchain.toml"
        (cd "$root" && { cargo --version || rustup toolchain install; }) >&2 ||
            fail "rustup could not install the toolchain of rust-toolchain.toml"
        rust_is_ready "$root" "$target" || (cd "$root" && rustup target add "$target") >&2 ||
            fail "rustup could not add the target $target"
        rust_is_ready "$root" "$target" ||
            fail "$(cd "$root" && cargo --version) is too old; Cargo.toml asks for $(rust_wanted "$root")" "try: rustup update"
    fi
    note "$(cd "$root" && cargo --version), $(command -v cargo)"
}

rust_wanted() { sed -n 's/^rust-version *= *"\(.*\)"/\1/p' "$1/Cargo.toml"; }

rust_is_ready() {
    local root=$1 target=$2 have wanted
    command -v cargo >/dev/null && command -v rustc >/dev/null || return 1
    have=$(cd "$root" && cargo --version 2>/dev/null) || return 1
    have=${have#cargo } have=${have%% *} wanted=$(rust_wanted "$root")
    [[ $(printf '%s\n' "$wanted" "$have" | sort -V | head -n 1) == "$wanted" ]] || return 1
    [[ -d $(cd "$root" && rustc --print target-libdir --target "$target" 2>/dev/null) ]]
}

install_rustup() {
    # Newer distributions have rustup as a package, which then needs the packaged cargo's absence.
    if ! is_installed cargo && [[ -n $(apt-cache madison rustup 2>/dev/null) ]]; then
        need_packages rustup
    else
        say "installing Rust with rustup from https://sh.rustup.rs, for $(id -un) only"
        curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
            RUSTUP_INIT_SKIP_PATH_CHECK=yes sh -s -- -y --no-modify-path --profile minimal --default-toolchain none >&2 ||
            fail "rustup's installer did not work" "install Rust $(rust_wanted "$root") or newer by hand: https://rustup.rs"
        PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
        hash -r
    fi
}

# The folder of the built programs for profile $2.
built_folder() { printf '%s' "${CARGO_TARGET_DIR:-$1/target}/x86_64-unknown-linux-musl/$2"; }

# The engine ---------------------------------------------------------------------------------------

# docker, always against CLUSTERIA_ENGINE.
engine() { docker -H "$CLUSTERIA_ENGINE" "$@"; }

engine_answers() { command -v docker >/dev/null && timeout 20 docker -H "$CLUSTERIA_ENGINE" version >/dev/null 2>&1; }

# For $1 seconds at most, and no longer than process $2 lives, if one is named.
await_engine() {
    local tick
    for ((tick = 0; tick < $1 * 5; tick++)); do
        engine_answers && return 0
        [[ -z $2 ]] || kill -0 "$2" 2>/dev/null || return 1
        sleep 0.2
    done
    return 1
}

# Makes an engine answer, as root. What we start is written into folder $1, so that stop_engine stops that and no more.
ensure_engine() {
    local state=$1 child=
    engine_answers && return 0
    is_root || fail "the container engine needs root here"
    mkdir -p "$state"
    if ! command -v dockerd >/dev/null || ! command -v docker >/dev/null; then
        need_packages docker.io iptables
        # Newer releases keep the client apart.
        command -v docker >/dev/null || need_packages docker-cli
        : >"$state/installed"
    fi
    if [[ -d /run/systemd/system ]]; then
        if ! [[ -e $state/installed ]] && engine_answers; then return 0; fi
        say "starting the container engine (systemctl start docker)"
        systemctl start docker || fail "systemctl could not start docker" "see: journalctl -u docker"
        echo systemd >"$state/started"
    elif ! engine_answers; then
        say "starting the container engine (dockerd; its log is $state/dockerd.log)"
        setsid env --default-signal=INT,QUIT dockerd -H "$CLUSTERIA_ENGINE" --pidfile "$state/dockerd.pid" --log-level warn \
            >"$state/dockerd.log" 2>&1 </dev/null 8>&- 9>&- &
        child=$!
        echo "$child" >"$state/started"
    fi
    rm -f "$state/installed"
    if ! await_engine 60 "$child"; then
        [[ -e $state/dockerd.log ]] && tail -n 15 "$state/dockerd.log" >&2
        stop_engine "$state"
        fail "the container engine does not answer on $CLUSTERIA_ENGINE"
    fi
}

# Stops the engine if ensure_engine started it and nobody else's container runs on it.
stop_engine() {
    local state=$1 started pid tick
    [[ -r $state/started ]] || return 0
    started=$(<"$state/started")
    if engine_answers && [[ -n $(engine ps -q) ]]; then
        note "the container engine stays up: other containers run on it"
        return 0
    fi
    if [[ $started == systemd ]]; then
        systemctl stop docker.socket docker.service
    else
        pid=$(cat "$state/dockerd.pid" 2>/dev/null) || pid=$started
        if [[ $(cat "/proc/$pid/comm" 2>/dev/null) == dockerd ]]; then
            kill "$pid"
            for ((tick = 0; tick < 100; tick++)); do
                kill -0 "$pid" 2>/dev/null || break
                sleep 0.2
            done
        fi
    fi
    rm -f "$state/started" "$state/dockerd.pid"
}

# The volumes that hold the agent for an engine's containers belong to all clusters on it: they go with the last one.
remove_agent_volumes() {
    local name
    [[ -z $(engine container ls --all --quiet --filter label=clusteria.cluster) ]] || return 0
    [[ -z $(engine network ls --quiet --filter label=clusteria.cluster) ]] || return 0
    engine volume ls --quiet --filter 'name=^clusteria-agent-' |
        while read -r name; do engine volume rm "$name" </dev/null >/dev/null || true; done
}
