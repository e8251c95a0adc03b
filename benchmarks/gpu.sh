#!/usr/bin/env bash
# Races on a GPU within a time, most wanted first; one that fails does not stop the
# others. Numbers go to $OUT, the lines of all races are printed last.
#   OUT=runs/race RACE_SECONDS=420 bash benchmarks/gpu.sh [NAME ...]
# RACE_COMPILE_CACHE=FOLDER keeps compiled programs of ours: a repetition starts sooner.
set -u
cd "$(dirname "$0")/.."
out=${OUT:-runs/race}
mkdir -p "$out"
errors=$(mktemp)
ends=$((SECONDS + ${RACE_SECONDS:-420}))
python=${PYTHON:-python3}
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
export XLA_PYTHON_CLIENT_PREALLOCATE=false
[ -n "${RACE_COMPILE_CACHE:-}" ] && export JAX_COMPILATION_CACHE_DIR=$RACE_COMPILE_CACHE

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
# What is missing shows here, before time is spent: both frameworks on the card, what
# our methods import, and one small step of every PyTorch model.
timeout 90 "$python" - <<'END' || exit 1
import jax, sys, torch
from benchmarks import race_settings, sides
from benchmarks.step import random_batch
from ppcjax import methods
print("Python", sys.version.split()[0], "jax", jax.__version__, "torch", torch.__version__)
print(jax.devices(), torch.cuda.get_device_name())
for name in race_settings.RACES:
    settings, classes = race_settings.read(name, batch=2, crop=(64,))
    methods.make(settings["method"], classes)
    batch = random_batch(settings["data"], num_classes=classes)
    how = {"device": "cuda", "dtype": "bfloat16", "layout": "nhwc", "compiled": False}
    side = sides.Theirs(settings, batch, classes, **how)
    print(name, f"torch {side.start():.1f} s, loss {side.loss:.4g}", flush=True)
x = jax.numpy.ones((64, 64))
jax.block_until_ready(jax.jit(lambda x: x @ x)(x))
END

declare -A races=(
  [pixpro_bfloat16]="--method pixpro --dtype bfloat16 --batch 64 --crop 224"
  [pixpro_tf32]="--method pixpro --tf32 --batch 64 --crop 224"
  [hrnet_bfloat16]="--method contrastive_seg --dtype bfloat16 --tf32 --batch 4"
  [ppc_tf32]="--method ppc --tf32 --batch 8"
  [pixpro_float32]="--method pixpro --batch 64 --crop 224"
  [ppc_bfloat16]="--method ppc --dtype bfloat16 --tf32 --batch 8"
  [hrnet_tf32]="--method contrastive_seg --tf32 --batch 4"
  [asgnet_bfloat16]="--method asgnet --dtype bfloat16 --tf32 --batch 4"
  [asgnet_tf32]="--method asgnet --tf32 --batch 4"
  [pixpro_compiled]="--method pixpro --dtype bfloat16 --batch 64 --crop 224 --compile"
)
order=(pixpro_bfloat16 pixpro_tf32 hrnet_bfloat16 ppc_tf32 pixpro_float32)
[ $# -gt 0 ] && order=("$@")
for name in "${order[@]}"; do
  left=$((ends - SECONDS))
  [ "$left" -lt 30 ] && echo "$name: no time left" | tee -a "$out/lines.txt" && continue
  most=${RACE_EACH:-150}
  most=$((left < most ? left : most))
  echo "== $name, at most $most s"
  # shellcheck disable=SC2086
  timeout "$most" "$python" -m benchmarks.race --device gpu ${races[$name]} \
    --steps 10 --blocks 6 --limit $((most - 15)) --json "$out/$name.json" \
    2>"$errors" | tee -a "$out/lines.txt"
  status=${PIPESTATUS[0]}
  [ "$status" -eq 0 ] && continue
  echo "$name: exit $status" | tee -a "$out/lines.txt"
  tail -c 2000 "$errors"
done
echo
cat "$out/lines.txt"
