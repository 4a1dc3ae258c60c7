#!/usr/bin/env sh
# Inst-It, stage 1: the projector between InternViT-300M and a language model on your data (--meta_path), on 8 GPUs.
set -eu
unset CDPATH
root=$(cd "$(dirname "$0")/../.." && pwd -P)
export PUBLISHED_GPUS=8
exec sh "$root/shell/finetune.sh" \
    "$root/train/recipes/inst_it_stage1_projector.yaml" "$@"
