// Which learning rate suits each initialisation? The rates of the quickstart were chosen with this grid, on a tenth of
// the demo's training rows; its test rows take no part.
//     sft run-experiments etc/demo/rates.jsonnet --results-path results/rates
local grid = import 'sft/grid.libsonnet';

local base = {
  dataset: {
    path: '../../data/demo/tweets/train.jsonl',
    task_type: 'classification',
    splits: { test: 0.1 },
    shots: 16,
    max_n_test: 150,
  },
  model: { name: '../../data/demo/SmolLM2-135M-Instruct' },
  prompting: {
    instruction: 'Classify the sentiment of the tweet. Answer with one word: {labels}.',
    input_columns: ['text'],
    output_column: 'label',
  },
  lora: { r: 8, lora_alpha: 16 },
  training: { trainer_args: { num_train_epochs: 5, per_device_train_batch_size: 8 } },
};

local rate(learning_rate) = { training: { trainer_args: { learning_rate: learning_rate } } };
local init(name) = { lora: { init_lora_weights: name } };

grid.product(base, [
  { default: {}, pca: init('pca'), pissa: init('pissa') },
  { '3e-4': rate(3e-4), '1e-3': rate(1e-3) },
])
