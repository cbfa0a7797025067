// A data set of the hub in place of files: which learning rate does LoRA want? The boards rank on the dev split, so
// that the test split is only reported.
//
// Run:  python -m sft.cli run-experiments etc/configs/jsonnet/tweets_hub_dataset.jsonnet --results-path results/hub
// Needs the model hub (or its cache). How many minutes a GPU takes was not measured.
local grid = import 'sft/grid.libsonnet';

local base = {
  dataset: {
    path: 'cardiffnlp/tweet_eval',
    args: { name: 'sentiment' },  // as for datasets.load_dataset; the label names come with the data
    task_type: 'classification',
    shots: 0,
    splits: { dev: 'validation' },
    max_n_test: 500,
    max_n_dev: 300,
  },
  model: { name: 'Qwen/Qwen2.5-0.5B-Instruct' },
  prompting: {
    instruction: 'Classify the sentiment of the tweet. Answer with one word: {labels}.',
    input_columns: ['text'],
    output_column: 'label',
  },
};

local rate(value) = { training: { trainer_args: { learning_rate: value, num_train_epochs: 5 } } };

grid.product(base, [
  { lora: grid.lora(shots=32) },
  { 'rate-1e-4': rate(1e-4), 'rate-3e-4': rate(3e-4), 'rate-1e-3': rate(1e-3) },
])
