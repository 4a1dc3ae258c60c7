#!/usr/bin/env sh
# InternVL2.5-8B on your data (--meta_path) with adapters, on 2 GPUs.
set -eu
unset CDPATH
root=$(cd "$(dirname "$0")/../../.." && pwd -P)
export PUBLISHED_LAUNCHER=pytorch PUBLISHED_GPUS=2 PUBLISHED_MASTER_PORT=34229
exec sh "$root/shell/finetune.sh" \
    "$root/train/recipes/internvl2_5_8b_dynamic_res_2nd_finetune_lora.yaml" "$@"
