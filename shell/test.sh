#!/usr/bin/env sh
# Runs what a change must pass: format, lint, types, tests. Arguments go to pytest: sh shell/test.sh tests/train -x
set -eu
unset CDPATH
root=$(cd "$(dirname "$0")/.." && pwd -P)
cd "$root"

# Runs one step; the first that fails ends the script with its exit code.
step() {
    name=$1
    shift
    printf '== %s\n' "$name"
    started=$(date +%s)
    result=0
    "$@" || result=$?
    printf '== %s: exit code %s after %s s\n' "$name" "$result" "$(($(date +%s) - started))"
    [ "$result" -eq 0 ] || exit "$result"
}

step "set-up" sh shell/setup.sh
python=$(sh shell/setup.sh --print-python)

# Two threads in each of two workers are far slower than one: they wait for each other on busy cores.
export OMP_NUM_THREADS=1
step "ruff format" "$python" -m ruff format --check .
step "ruff check" "$python" -m ruff check .
step "mypy" "$python" -m mypy -n 2
step "pytest" "$python" -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=12 "$@"
