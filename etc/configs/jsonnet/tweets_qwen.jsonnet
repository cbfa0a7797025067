// Does a larger model of one family need fewer examples for the sentiment of tweets? Three seeds, so that the
// difference can be told from chance.
//
// Run:  python -m sft.cli run-experiments etc/configs/jsonnet/tweets_qwen.jsonnet --results-path results/qwen
// Needs the model hub (or its cache), and the tweets: make demo-data. How many minutes a GPU takes was not measured.
local grid = import 'sft/grid.libsonnet';

local base = {
  dataset: {
    path: '../../../data/demo/tweets',
    task_type: 'classification',
    shots: 0,
    max_n_test: 500,
  },
  model: {},
  prompting: {
    instruction: 'Classify the sentiment of the tweet. Answer with one word: {labels}.',
    input_columns: ['text'],
    output_column: 'label',
    max_input_length: 128,
  },
  inference: { batch_size: 32 },
};

// 5 epochs over the shots; rank and rate are the same for both models.
local trained(shots) = grid.lora(shots) + {
  lora+: { r: 16, lora_alpha: 32 },
  training: { trainer_args: { learning_rate: 2e-4, num_train_epochs: 5, per_device_train_batch_size: 8 } },
};

grid.product(base, [
  { ['qwen-' + size]: { model: { name: 'Qwen/Qwen2.5-' + size + '-Instruct' } } for size in ['0.5B', '1.5B'] },
  {
    'zero-shot': grid.zero_shot,
    'in-context': grid.in_context(shots=16, k=4),
    'lora-16': trained(16),
    'lora-64': trained(64),
  },
  grid.seeds([13, 14, 15]),
])
