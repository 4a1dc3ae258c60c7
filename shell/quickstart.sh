#!/usr/bin/env sh
# Makes pictures, trains a small InternVL on them, evaluates it, and prints one table: minutes on a laptop CPU.
set -eu
cd "$(dirname "$0")/.."
case ${1:-} in
    -h | --help)
        echo "usage: sh shell/quickstart.sh"
        echo "Sets up .venv, makes playground/quickstart, trains work_dirs/quickstart, evaluates it, and writes"
        echo "results/quickstart/summary.json. Run again to go on where it stopped; DEVICES=1 uses one process."
        exit 0
        ;;
    ?*) echo "error: option: expected none, got $1; see sh shell/quickstart.sh --help" >&2; exit 2 ;;
esac
python=$(sh shell/setup.sh --print-python)
begin=$(date +%s)
# One thread per process: two processes on two cores are faster than two threads in one.
export OMP_NUM_THREADS=1
devices=${DEVICES:-$("$python" -c 'import os, torch; print(torch.cuda.device_count() and 1 or min(2, os.cpu_count() or 1))')}

echo "== pictures and questions"
"$python" -m internvl quickstart
echo "== training"
"$python" -m train --config train/recipes/quickstart.yaml --devices "$devices"
echo "== evaluation"
GPUS=$devices sh evaluate.sh work_dirs/quickstart/export quickstart --batch-size 64 --num-workers 0
GPUS=$devices sh evaluate.sh work_dirs/quickstart/export quickstart --batch-size 64 --num-workers 0 --blind
"$python" -m evaluate.quickstart --seconds $(($(date +%s) - begin))
