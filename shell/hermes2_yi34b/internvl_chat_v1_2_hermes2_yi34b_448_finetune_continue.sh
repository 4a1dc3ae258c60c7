#!/usr/bin/env sh
# InternVL-Chat-V1.2, trained further on your data (--meta_path) with a frozen vision tower, on 16 GPUs.
set -eu
unset CDPATH
root=$(cd "$(dirname "$0")/../.." && pwd -P)
export PUBLISHED_PARTITION=INTERN2 PUBLISHED_GPUS=16 PUBLISHED_CPUS_PER_TASK=1 PUBLISHED_MASTER_PORT=34223
exec sh "$root/shell/finetune.sh" \
    "$root/train/recipes/internvl_chat_v1_2_hermes2_yi34b_448_finetune_continue.yaml" "$@"
