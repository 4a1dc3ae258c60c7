#!/usr/bin/env sh
# GPUS=8 sh evaluate.sh <checkpoint> <benchmark>[,<benchmark>...] [flags]; sh evaluate.sh --help lists the flags
set -eu && unset CDPATH
root=$(cd "$(dirname "$0")" && pwd)
case $#:${1:-} in
    1:-* | *:score | *:compare | *:check | *:prepare | *:fetch | *:combine-images | *:report | *:demo | *:inst-it | *:milebench-table | *:prompts) ;; # one flag alone, such as --list, or a command
    0: | 1:*) echo "usage: GPUS=8 sh evaluate.sh <checkpoint> <benchmark>[,<benchmark>...] [flags]" >&2; exit 2 ;;
    *)
        case $1 in *.py:*) file=${1%%.py:*}.py ;; *.yaml:*) file=${1%%.yaml:*}.yaml ;; *.yml:*) file=${1%%.yml:*}.yml ;; *) file=$1 ;; esac
        checkpoint=$1 names=$2
        if [ -d "$1" ]; then checkpoint=$(cd "$1" && pwd)
        elif [ -f "$file" ]; then checkpoint=$(cd "$(dirname "$file")" && pwd)/${file##*/}${1#"$file"}; fi
        shift 2 && set -- "$checkpoint" "$names" --devices "${GPUS:-auto}" "$@"
        ;;
esac
python=$root/.venv/bin/python
if [ ! -x "$python" ] || [ -e "$root/.venv/.unfinished" ] || [ -n "${INTERNVL_PYTHON:-}" ]; then
    python=$(sh "$root/shell/setup.sh" --print-python)
fi
cd "$root" && exec "$python" -m evaluate "$@"
