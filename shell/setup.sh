#!/usr/bin/env sh
# Prepares the Python of this checkout, once: .venv with the versions of constraints.txt.
#
# .venv/.unfinished exists from before the first change until after the last one, so an environment that has it was left
# by a killed set-up. .venv/.stamp is the checksum of everything that a finished environment depends on.
set -eu
unset CDPATH

needed_gb=9  # measured: 6 GB installed and 3 GB of downloads, which pip keeps until it has finished
patience_seconds=3600

usage() {
    cat <<'END'
usage: sh shell/setup.sh [--print-python]

Creates .venv in this checkout and installs the versions of constraints.txt into it.
That takes a few minutes and about 6 GB, 9 GB while it installs.
A second call does nothing while pyproject.toml, constraints.txt and the checkout's place are unchanged.
No NVIDIA GPU is needed.

  --print-python   also print the path of the interpreter on stdout; everything else goes to stderr
  --help           print this text

Environment variables:
  PYTHON           the Python (3.10 or newer) that .venv is made from;
                   otherwise the first of python3.12, python3.11, python3.10 and python3 that works
  INTERNVL_PYTHON  an interpreter of your own that already has the packages of pyproject.toml;
                   it is used as it is: no .venv is made and nothing is installed
  PIP_INDEX_URL, PIP_NO_INDEX, PIP_FIND_LINKS, ...  pip's own settings, for mirrors and machines without a network
END
}

say() {
    printf '%s\n' "$*" >&2
}

fail() {
    say "$1"
    exit 2
}

# Sets state (ok, bare, old), version and base for a candidate; false when it does not run at all, as the shims of
# version managers may do. base is the interpreter outside every virtual environment: .venv cannot be made from itself.
inspect() {
    answer=$("$1" -c '
import os, sys
state = "ok"
try:
    import ensurepip, venv
except ImportError:
    state = "bare"
if sys.version_info < (3, 10):
    state = "old"
base = os.path.join(getattr(sys, "base_prefix", sys.prefix), "bin", "python%d.%d" % sys.version_info[:2])
print("%s %d.%d.%d" % ((state,) + tuple(sys.version_info[:3])))
print(base if os.path.exists(base) else sys.executable)
' 2>/dev/null </dev/null) || return 1
    base=${answer#*
}
    answer=${answer%%
*}
    state=${answer% *}
    version=${answer#* }
}

# Sets base to the Python that .venv is made from: $PYTHON if that is set, else the first suitable one.
choose_base() {
    if [ -n "${PYTHON:-}" ]; then
        set -- "$PYTHON"
        remedy="set PYTHON to another one, or leave it unset"
        problem="PYTHON: expected an interpreter that runs, got '$PYTHON'; $remedy"
    else
        set -- python3.12 python3.11 python3.10 python3
        remedy="install a newer one (Debian, Ubuntu: apt install python3 python3-venv) or set PYTHON=/path/to/python"
        problem="Python: expected 3.10 or newer on PATH, got none; $remedy"
    fi
    bare=no
    for candidate; do
        inspect "$candidate" || continue
        case $state in
            ok) return ;;
            bare)
                bare=yes
                problem="$candidate: expected Python with the modules venv and ensurepip, got $version without them;"
                problem="$problem install them (Debian, Ubuntu: apt install python3-venv) or set PYTHON=/path/to/python"
                ;;
            old) [ "$bare" = yes ] || problem="$candidate: expected Python 3.10 or newer, got $version; $remedy" ;;
        esac
    done
    fail "$problem"
}

# Prints the absolute path of the user's own interpreter, after a look at whether it can work.
check_own_python() {
    inspect "$1" || fail "INTERNVL_PYTHON: expected an interpreter that runs, got '$1'; correct it, or leave it unset"
    [ "$state" != old ] || fail "INTERNVL_PYTHON: expected Python 3.10 or newer, got $version; choose another one"
    missing=$("$1" -c '
import importlib.util
names = ("torch", "torchvision", "lightning", "transformers", "torchmetrics")
print(" ".join(name for name in names if importlib.util.find_spec(name) is None))')
    [ -z "$missing" ] || fail "INTERNVL_PYTHON: expected the packages of pyproject.toml in '$1', got none called\
 $missing; install them there, or leave INTERNVL_PYTHON unset"
    "$1" -c 'import sys; print(sys.executable)'
}

checksum() {
    # The root counts: scripts and the editable install hold absolute paths, so a moved checkout needs a new set-up.
    { printf '%s\n' "$root" && cat pyproject.toml constraints.txt .venv/pyvenv.cfg; } 2>/dev/null | cksum
}

is_sound() {
    [ ! -e .venv/.unfinished ] && [ -x .venv/bin/python ]
}

is_wanted() {
    [ -z "$wanted" ] || { inspect .venv/bin/python && [ "$base" = "$wanted" ]; }
}

is_current() {
    is_sound && [ -r .venv/.stamp ] && [ "$(cat .venv/.stamp)" = "$(checksum)" ] && is_wanted
}

# True when the lock names processes of this host and all of them have ended. On a shared file system another host's
# processes cannot be seen, so they count as running.
is_abandoned() {
    # shellcheck disable=SC2086  # the words of the owner are wanted one by one
    set -- $1
    [ "${1:-}" = "$(uname -n)" ] || return 1
    shift
    for process; do
        if kill -0 "$process" 2>/dev/null || [ -e "/proc/$process" ]; then return 1; fi
    done
}

write_owner() {
    printf '%s\n' "$(uname -n) $*" >.venv.lock/owner.new
    mv .venv.lock/owner.new .venv.lock/owner
}

# One set-up at a time. A dead owner's lock is taken over in place: only one process can create the folder that names
# the dead owner, and it looks again whether the owner is still that one.
take_lock() {
    waited=0
    until mkdir .venv.lock 2>/dev/null; do
        if [ ! -d .venv.lock ] && [ "$waited" -ge 3 ]; then
            fail "$root: expected a folder that can be written to, got none; change its rights or set INTERNVL_PYTHON"
        fi
        owner=$(cat .venv.lock/owner 2>/dev/null) || owner=
        heir=.venv.lock/after-$(printf '%s' "$owner" | tr -c 'A-Za-z0-9' '-')
        if is_abandoned "$owner" || { [ -z "$owner" ] && [ "$waited" -ge 10 ]; }; then
            if mkdir "$heir" 2>/dev/null; then
                [ "$(cat .venv.lock/owner 2>/dev/null)" != "$owner" ] || break
                rmdir "$heir"
            fi
        fi
        if [ $((waited % 60)) -eq 2 ]; then say "setup: waiting for another set-up (host and processes: $owner)"; fi
        [ "$waited" -lt "$patience_seconds" ] ||
            fail "$root/.venv.lock: expected to be gone within an hour, got no end of it; remove it if no set-up runs"
        sleep 1
        waited=$((waited + 1))
    done
    write_owner $$
    child=
    trap release_lock EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

release_lock() {
    if [ -n "$child" ]; then
        kill "$child" 2>/dev/null || true
        wait "$child" || true
    fi
    rm -rf .venv.lock
}

# Runs a command with its output in the log. The lock names the command too: it may outlive a killed set-up.
run_logged() {
    "$@" >>"$log" 2>&1 &
    child=$!
    write_owner $$ "$child"
    result=0
    wait "$child" || result=$?
    child=
    return "$result"
}

check_disk() {
    if ls .venv/lib/python*/site-packages/torch/version.py >/dev/null 2>&1; then return; fi
    free_gb=$(df -Pk .venv 2>/dev/null | awk 'NR == 2 { print int($4 / 1048576) }') || return 0
    [ "${free_gb:-$needed_gb}" -ge "$needed_gb" ] || fail "disk: expected $needed_gb GB free in $root, got $free_gb GB;\
 free some space, or set INTERNVL_PYTHON to a Python that has the packages"
}

report_failure() {
    # Without addresses: they may hold names, or even passwords, that do not belong into a shared log.
    { grep -E 'ERROR|WARNING' "$log" || cat "$log"; } | tail -n 6 | sed -e 's/^ */    /' \
        -e 's#[a-zA-Z+]*://[^ ]*#<address>#g' -e "s#host='[^']*'#host=<host>#g" \
        -e "s#resolve '[^']*'#resolve <host>#g" -e 's#located at [^ ]*#located at <host>#g' \
        -e 's#--trusted-host [^ ]*#--trusted-host <host>#g' >&2
    if grep -q 'No space left on device' "$log"; then
        fail "disk: expected room for $1, got 'No space left on device'; free some, also for TMPDIR and pip's cache"
    fi
    fail "setup: expected $1 to succeed, got exit code $2; check the network and pip's settings, then run this again\
 (all output: $root/$log)"
}

create_environment() {
    [ -n "$wanted" ] || { choose_base && wanted=$base; }
    say "setup: creating .venv with $wanted"
    mkdir -p .venv
    rm -rf .venv/* .venv/.[!.]*
    : >.venv/.unfinished
    check_disk
    run_logged "$wanted" -m venv .venv || report_failure "'$wanted -m venv .venv'" $?
}

install_packages() {
    say "setup: installing the versions of constraints.txt into .venv (to watch: tail -f $root/$log)"
    set -- -m pip install --no-compile --no-input --disable-pip-version-check -c constraints.txt -e '.[dev]'
    run_logged .venv/bin/python "$@" || {
        result=$?
        # pip resolves everything before it changes anything: without a network a finished environment stays as it was.
        if [ "$is_new" = no ] && ! grep -q '^Installing collected packages' "$log"; then rm .venv/.unfinished; fi
        report_failure "'pip install'" "$result"
    }
    # pip compiles on one core. What cannot be compiled, as some templates of packages, is not needed either.
    run_logged .venv/bin/python -m compileall -q -j 0 .venv/lib || true
}

set_up() {
    log=.venv/setup.log
    is_new=no
    if ! is_sound || ! inspect .venv/bin/python || [ "$state" = old ] || ! is_wanted; then
        is_new=yes
        create_environment
    fi
    : >"$log"
    check_disk
    : >.venv/.unfinished
    if ! .venv/bin/python -c 'import pip' 2>/dev/null; then
        run_logged .venv/bin/python -m ensurepip || report_failure "'python -m ensurepip'" $?
    fi
    install_packages
    checksum >.venv/.stamp
    rm .venv/.unfinished
    say "setup: done"
}

print_python=no
case $#:${1:-} in
    0:) ;;
    1:--print-python) print_python=yes ;;
    1:--help | 1:-h) usage && exit ;;
    *) fail "setup.sh: expected --print-python, --help or nothing, got '$*'; see sh shell/setup.sh --help" ;;
esac

root=$(cd "$(dirname "$0")/.." && pwd -P)
if [ -n "${INTERNVL_PYTHON:-}" ]; then
    python=$(check_own_python "$INTERNVL_PYTHON")
else
    python=$root/.venv/bin/python
    wanted=
    # Before the change of folder: PYTHON may be a path relative to the caller's.
    if [ -n "${PYTHON:-}" ]; then choose_base && wanted=$base; fi
    cd "$root"
    if ! is_current; then
        take_lock
        is_current || set_up
    fi
fi
[ "$print_python" = no ] || printf '%s\n' "$python"
