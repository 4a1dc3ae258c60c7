#!/usr/bin/env sh
# InternVL3-8B on your data (--meta_path): language model and projector, on 8 GPUs.
set -eu
unset CDPATH
root=$(cd "$(dirname "$0")/../../.." && pwd -P)
export PUBLISHED_LAUNCHER=pytorch PUBLISHED_GPUS=8 PUBLISHED_MASTER_PORT=34229
exec sh "$root/shell/finetune.sh" \
    "$root/train/recipes/internvl3_8b_dynamic_res_2nd_finetune_full.yaml" "$@"
