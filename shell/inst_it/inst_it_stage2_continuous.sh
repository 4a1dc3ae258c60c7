#!/usr/bin/env sh
# Inst-It, stage 2: InternVL3-8B on the rows of `python -m train convert-inst-it`, on 8 GPUs.
set -eu
unset CDPATH
root=$(cd "$(dirname "$0")/../.." && pwd -P)
export PUBLISHED_GPUS=8
exec sh "$root/shell/finetune.sh" \
    "$root/train/recipes/inst_it_stage2_continuous.yaml" "$@"
