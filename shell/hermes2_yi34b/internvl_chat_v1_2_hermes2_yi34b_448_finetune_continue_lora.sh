#!/usr/bin/env sh
# InternVL-Chat-V1.2, trained further on your data (--meta_path) with adapters, on 2 GPUs.
set -eu
unset CDPATH
root=$(cd "$(dirname "$0")/../.." && pwd -P)
export PUBLISHED_LAUNCHER=pytorch PUBLISHED_GPUS=2 PUBLISHED_MASTER_PORT=34223
exec sh "$root/shell/finetune.sh" \
    "$root/train/recipes/internvl_chat_v1_2_hermes2_yi34b_448_finetune_continue_lora.yaml" "$@"
