#!/usr/bin/env sh
# InternVL3-2B (a vision tower of 300M, a decoder of 1.5B) on your data (--meta_path), on one GPU.
set -eu
unset CDPATH
root=$(cd "$(dirname "$0")/../.." && pwd -P)
export PUBLISHED_GPUS=1
exec sh "$root/shell/finetune.sh" \
    "$root/train/recipes/internvl3_2b_one_gpu.yaml" "$@"
