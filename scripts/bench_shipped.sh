#!/usr/bin/env bash
# Makes every committed figure of a model that ships, but those of ship_model.py, which measures it on the test split
# (with false alarms by group of people, and risk-coverage). Baselines that are trained are left as they are.
#
#   bash scripts/bench_shipped.sh [MODEL] [MANIFEST] [CACHE]
#
# By default: mobilenetv2 ../shared/data/manifest.csv outputs/cache
#
# Writes to outputs/bench and benchmarks/results, then docs/results.md.
set -euo pipefail
cd "$(dirname "$0")/.."
model=${1:-mobilenetv2}
data=${2:-../shared/data/manifest.csv}
cache=${3:-outputs/cache}
results=benchmarks/results
bench=outputs/bench/$model
resamples=400

baseline() { # name, settings: a short training, since a baseline converges in it
  local name=$1 config=configs/baselines/$1.yaml
  shift
  [ -f "$config" ] || config=configs/$name.yaml
  if [ -f "outputs/$name/run.json" ] && [ ! -f "outputs/$name/bundle/card.json" ]; then
    deepfake train --resume "outputs/$name"
  elif [ ! -f "outputs/$name/bundle/card.json" ]; then
    deepfake train "$config" --set "data.source=$data" --set "data.cache=$cache" "$@"
  fi
}

# What each doubt is worth: on test pictures, and on frames of clips that no branch was trained on.
[ -f outputs/ffpp_c23/manifest.csv ] || deepfake faces "$(dirname "$data")/ffpp_c23" outputs/ffpp_c23 --ratio 2.2
deepfake bench uncertainty "$model" "$data" --crops "$cache" \
  --bootstrap $resamples --output $results/uncertainty-test.json
deepfake bench uncertainty "$model" outputs/ffpp_c23/manifest.csv --split all --crops "$cache" \
  --bootstrap $resamples --output $results/uncertainty-ffpp-frames.json
deepfake evaluate "$model" outputs/ffpp_c23/manifest.csv --split all --crops "$cache" --used-for-selection ffpp_c23 \
  --bootstrap $resamples --output "$bench/frames"
cp "$bench/frames/metrics.json" $results/evaluation-ffpp-frames.json

# What pictures go through on their way.
deepfake bench robustness "$model" "$data" --limit 12 --crops "$cache" --bootstrap $resamples --output "$bench/robustness"
cp "$bench/robustness/robustness.json" $results/robustness.json

# Against what is simple.
baseline logistic-regression
baseline mesonet --set train.epochs=6 --set balance.epoch_size=2600
baseline traces --set train.epochs=5 # no baseline, but as small: what 128 native pixels say
deepfake bench compare "$data" "$model" outputs/logistic-regression outputs/mesonet outputs/traces --crops "$cache" \
  --bootstrap 2000 --output "$bench/comparison"
cp "$bench/comparison/comparison.json" $results/comparison-baselines.json

# What to expect of sources that nobody trained on, and what each ingredient is worth there: small trainings.
small=(configs/ablation.yaml --set "data.source=$data" --set "data.cache=$cache" --bootstrap $resamples)
deepfake bench sources "${small[@]}" --output outputs/bench/sources
cp outputs/bench/sources/sources.json $results/sources.json
deepfake bench ablation "${small[@]}" --fold composite --fold diffusion --foreign outputs/ffpp_c23/manifest.csv \
  --pictures 100 --changed-pictures 10 --output outputs/bench/ablation
cp outputs/bench/ablation/ablation.json $results/ablation.json

python benchmarks/make_results.py
