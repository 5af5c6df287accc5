#!/usr/bin/env bash
# Trains a recipe on GPUs in pieces of some minutes, and can be called again until it is done.
#
#   benchmarks/gpu/train.sh RECIPE STORE OUTPUT [MINUTES] [--set key=value ...]
#
# One call trains for MINUTES (default: 9), writes a checkpoint and stops; the next call goes on from
# it, on the same machine or on another one that got a copy of OUTPUT. Exit code: 0 if the model is
# finished, 3 if there is more to train, anything else is a mistake. With several GPUs the batches are
# shared between them, which does not change the result beyond rounding.
set -euo pipefail

if [ "$#" -lt 3 ]; then
    sed -n '2,11p' "$0" | sed 's/^# \{0,1\}//' >&2
    exit 2
fi
recipe=$1 store=$2 output=$3
shift 3
minutes=9
if [ "$#" -gt 0 ] && [[ $1 != --* ]]; then
    minutes=$1
    shift
fi

python=${PYTHON:-python3}
gpus=$("$python" -c 'import torch; print(torch.cuda.device_count())')
if [ "$gpus" -eq 0 ] && [ "${ALLOW_CPU:-}" != 1 ]; then
    echo "$0: torch sees no GPU; set ALLOW_CPU=1 to try the script on a CPU" >&2
    exit 2
fi

launch=("$python" -m provq_protein)
if [ "$gpus" -gt 1 ]; then
    launch=("$python" -m torch.distributed.run --standalone --nproc-per-node "$gpus" -m provq_protein)
fi
"${launch[@]}" train --recipe "$recipe" --data "$store" --output "$output" --minutes "$minutes" "$@"

# What a further call needs: the checkpoint and the log.
du -sh "$output/checkpoint" >&2
[ -d "$output/model" ] || exit 3
