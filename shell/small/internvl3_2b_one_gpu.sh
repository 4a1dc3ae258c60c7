#!/usr/bin/env sh
# InternVL3-2B (a vision tower of 300M, a decoder of 1.5B) on your data (--meta_path), on one GPU.
set -eu
unset CDPATH
shell=$(cd "$(dirname "$0")/.." && pwd -P)
export PUBLISHED_GPUS=1
exec sh "$shell/finetune.sh" "$shell/../train/recipes/internvl3_2b_one_gpu.yaml" "$@"
