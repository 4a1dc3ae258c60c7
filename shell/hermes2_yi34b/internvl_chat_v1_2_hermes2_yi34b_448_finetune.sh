#!/usr/bin/env sh
# InternVL-Chat-V1.2: all 40 billion parameters on 64 GPUs; sh shell/finetune.sh --help lists the variables.
set -eu
unset CDPATH
root=$(cd "$(dirname "$0")/../.." && pwd -P)
export PUBLISHED_PARTITION=INTERN2 PUBLISHED_GPUS=64 PUBLISHED_CPUS_PER_TASK=10 PUBLISHED_MASTER_PORT=34223
exec sh "$root/shell/finetune.sh" \
    "$root/train/recipes/internvl_chat_v1_2_hermes2_yi34b_448_finetune.yaml" "$@"
