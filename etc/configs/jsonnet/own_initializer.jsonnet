// Is an initialiser of one's own better than the built-in ones? A function in a Python file beside the grid; its text
// is part of the experiment's id, so that an edit trains anew.
//
// Run:  python -m sft.cli run-experiments etc/configs/jsonnet/own_initializer.jsonnet --results-path results/initializer
// Needs only: make demo-data. About 10 minutes on 2 cores.
local grid = import 'sft/grid.libsonnet';

local base = {
  dataset: { path: '../../../data/demo/tweets', task_type: 'classification', shots: 8, max_n_test: 100 },
  model: { name: '../../../data/demo/SmolLM2-135M-Instruct' },
  lora: { r: 8, lora_alpha: 16 },
  prompting: {
    instruction: 'Classify the sentiment of the tweet. Answer with one word: {labels}.',
    input_columns: ['text'],
    output_column: 'label',
  },
  training: { trainer_args: { learning_rate: 3e-4, num_train_epochs: 4, per_device_train_batch_size: 8 } },
};

grid.product(base, [
  {
    default: {},
    pca: { lora: { init_lora_weights: 'pca' } },
    peft_olora: { lora: { init_lora_weights: 'peft:olora' } },  // `peft:` reaches those of the PEFT library
    row_sketch: { lora: { init_lora_weights: '../initializers/row_sketch.py:row_sketch' } },
  },
  grid.seeds([13, 14]),
])
