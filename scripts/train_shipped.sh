#!/usr/bin/env bash
# Trains everything that the shipped model is made of, from ImageNet weights: each branch, and the network that joins
# them. About four and a half hours on 2 cores.
#
#   python scripts/port_imagenet_weights.py        once; see docs/training.md
#   bash scripts/train_shipped.sh [MANIFEST] [--tried]       default: ../shared/data/manifest.csv
#
# Runs that are finished are left as they are, so that it can be started again after an interruption.
set -euo pipefail
cd "$(dirname "$0")/.."
data=${1:-../shared/data/manifest.csv}

clips=$(dirname "$data")/ffpp_c23

train() { # name of the run, config, settings
  local name=$1 config=$2
  shift 2
  if [ -f "outputs/$name/bundle/card.json" ]; then
    echo "outputs/$name is finished"
  elif [ -f "outputs/$name/run.json" ]; then
    deepfake train --resume "outputs/$name"
  else
    deepfake train "$config" --set "name=$name" --set "data.source=$data" "$@"
  fi
}

more=(--set head.epochs=0 --set train.lr=0.00015 --set train.metric=last)
ffhq='balance.weights={ffhq_stylegan/fake: 3.0, ffhq_stylegan/real: 2.5}'

train generated configs/generated.yaml
# On from there, with parts cut out and more of the cleanest pair of sets, mixed with where it began; then at 320 px.
train generated-2 configs/generated.yaml --set model.weights=outputs/generated "${more[@]}" --set "$ffhq" --set seed=8 \
  --set train.epochs=6 --set train.keep_start=0.3 --set augment.cutout.p=0.2
train generated-320 configs/generated.yaml --set model.weights=outputs/generated-2 --set data.size=320 "${more[@]}" \
  --set "$ffhq" --set seed=9 --set train.epochs=3
# Once more as long, on pictures that went through more, and with the two changes by which the probe finds no shortcut.
sources='balance.weights={ffhq_stylegan/fake: 3.0, ffhq_stylegan/real: 2.5, sd21/fake: 0.6}'
train generated-320-2 configs/generated.yaml --set model.weights=outputs/generated-320 --set data.size=320 "${more[@]}" \
  --set "$sources" --set seed=10 --set train.epochs=8 --set balance.epoch_size=5000 --set augment.rotation=15 \
  --set 'augment.color={p: 0.8, brightness: 0.25}' --set 'augment.jpeg={p: 0.35, quality: [35, 95]}' \
  --set 'augment.webp={p: 0.15, quality: [30, 95]}' --set 'augment.resize={p: 0.3, scale: [0.35, 1.3]}' \
  --set 'augment.blur={p: 0.15, sigma: [0.3, 2.0]}'
train manipulated configs/manipulated.yaml
# On from there, on pictures that went through more, frames of clips among them, mixed with where it began.
train manipulated-2 configs/manipulated.yaml --set model.weights=outputs/manipulated --set head.epochs=0 --set seed=13 \
  --set train.epochs=4 --set train.lr=0.00015 --set train.keep_start=0.3 --set balance.epoch_size=8000 \
  --set augment.jpeg.p=0.2 --set 'augment.webp={p: 0.2, quality: [25, 90]}' --set 'augment.video={p: 0.3, crf: [20, 38]}' \
  --set augment.gray.p=0.1 --set 'augment.resize={p: 0.45, scale: [0.25, 1.1]}' \
  --set 'augment.blur={p: 0.25, sigma: [0.3, 2.5]}'
# On from the first at all 320 px, where finer traces of blending show, on pictures that went through more.
train manipulated-320 configs/manipulated.yaml --set model.weights=outputs/manipulated --set model.shrink=1 \
  --set head.epochs=0 --set seed=12 --set train.epochs=5 --set train.lr=0.00015 --set balance.epoch_size=8000 \
  --set augment.jpeg.p=0.3 --set 'augment.webp={p: 0.35, quality: [25, 90]}' --set augment.gray.p=0.1 \
  --set 'augment.resize={p: 0.45, scale: [0.25, 1.1]}' --set 'augment.blur={p: 0.25, sigma: [0.3, 2.5]}'
# Three frames of each of some clips of other people, which no branch was trained on: they help to set the thresholds.
[ -f outputs/ffpp_c23/manifest.csv ] || deepfake faces "$clips" outputs/ffpp_c23 --frames 3 --ratio 2.2 --resume
train default configs/default.yaml

# Trainings that were tried for the shipped model and left out, so that nobody has to try them again unawares; what they
# brought is in docs/decisions/0011-branches-joined-late.md. About 2 hours.
[ "${2:-}" = --tried ] || exit 0
# The first branch once more, frames of clips among the pictures, so that a compressed face does not look generated.
train generated-320-3 configs/generated.yaml --set model.weights=outputs/generated-320-2 --set data.size=320 "${more[@]}" \
  --set "$sources" --set seed=14 --set train.epochs=8 --set balance.epoch_size=5000 --set augment.rotation=15 \
  --set 'augment.color={p: 0.8, brightness: 0.25, contrast: 0.3, saturation: 0.4}' \
  --set 'augment.jpeg={p: 0.3, quality: [35, 95]}' --set 'augment.webp={p: 0.12, quality: [30, 95]}' \
  --set 'augment.video={p: 0.35, crf: [20, 38]}' --set 'augment.resize={p: 0.35, scale: [0.3, 1.3]}' \
  --set 'augment.blur={p: 0.2, sigma: [0.3, 2.5]}'
# The second one once more, with faces bent into other expressions, too. Frames of clips of other people, which no branch
# was trained on, choose the best check.
[ -f outputs/ffpp_c23-12/manifest.csv ] || deepfake faces "$clips" outputs/ffpp_c23-12 --frames 12 --ratio 2.2 --resume
train manipulated-3 configs/manipulated.yaml --set model.weights=outputs/manipulated-2 --set head.epochs=0 --set seed=15 \
  --set 'data.foreign=[outputs/ffpp_c23-12]' --set train.metric=set_auc --set train.checks_per_epoch=2 \
  --set 'synthetic.recipes={self_blend: 0.45, swap: 0.25, part_swap: 0.12, reenact: 0.18}' \
  --set train.epochs=4 --set train.lr=0.00015 --set balance.epoch_size=9000 --set augment.jpeg.p=0.2 \
  --set 'augment.webp={p: 0.2, quality: [25, 90]}' --set 'augment.video={p: 0.35, crf: [20, 38]}' \
  --set 'augment.resize={p: 0.45, scale: [0.25, 1.1]}' --set 'augment.blur={p: 0.3, sigma: [0.3, 2.5]}' \
  --set augment.gray.p=0.1
# In place of the third branch a head on levels of a network that nothing was trained on, beside the first.
train frozen configs/frozen.yaml
train with-frozen configs/default.yaml --set 'join.branches=[outputs/generated-320-2, outputs/frozen, outputs/manipulated-2]' \
  --set 'join.kinds=[generated, generated, manipulated]' --set 'join.within=[1, 0.5, 1]' --set join.soft=null
