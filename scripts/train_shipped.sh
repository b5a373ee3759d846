#!/usr/bin/env bash
# Trains everything that the shipped model is made of, from ImageNet weights: each branch, a fold of each branch (shorter,
# without half of the sets), and the network that joins them. About 100 minutes on 2 cores (AMD EPYC).
#
#   python scripts/port_imagenet_weights.py        once; see docs/training.md
#   bash scripts/train_shipped.sh [MANIFEST]       default: ../shared/data/manifest.csv
#
# Runs that are finished are left as they are, so that it can be started again after an interruption.
set -euo pipefail
cd "$(dirname "$0")/.."
data=${1:-../shared/data/manifest.csv}

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

# The fold has not seen these: a pair of StyleGAN sets, the diffusion faces, and two sets of soft reals.
foreign='data.validate_only=[ffhq_stylegan, sd21, web_faces, utk]'
fold=(--set train.epochs=1 --set train.metric=last)
more=(--set head.epochs=0 --set train.lr=0.00015 --set train.metric=last)
ffhq='balance.weights={ffhq_stylegan/fake: 3.0, ffhq_stylegan/real: 2.5}'

train generated configs/generated.yaml
# On from there, with parts cut out and more of the cleanest pair of sets, mixed with where it began; then at 320 px.
train generated-2 configs/generated.yaml --set model.weights=outputs/generated "${more[@]}" --set "$ffhq" --set seed=8 \
  --set train.epochs=6 --set train.keep_start=0.3 --set augment.cutout.p=0.2
train generated-320 configs/generated.yaml --set model.weights=outputs/generated-2 --set data.size=320 "${more[@]}" \
  --set "$ffhq" --set seed=9 --set train.epochs=3
train manipulated configs/manipulated.yaml

# What is left out is judged as a whole, so that only fakes of the wrong kind in the other sets stay excluded.
train generated-fold configs/generated.yaml --set "$foreign" "${fold[@]}" --set balance.epoch_size=4800
train generated-320-fold configs/generated.yaml --set "$foreign" "${fold[@]}" "${more[@]}" \
  --set balance.epoch_size=1600 --set model.weights=outputs/generated-fold --set data.size=320
train manipulated-fold configs/manipulated.yaml --set "$foreign" "${fold[@]}" --set balance.epoch_size=7200 \
  --set 'data.exclude=[celebahq_stylegan2/fake]'
train default configs/default.yaml
