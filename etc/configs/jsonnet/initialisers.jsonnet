// Does it matter how a LoRA adapter begins, and does T-Few's loss help, on 16 tweets per label?
//
// Run:  python -m sft.cli run-experiments etc/configs/jsonnet/initialisers.jsonnet --results-path results/initialisers --jobs 2
// Needs: make demo-data. About 25 minutes on 2 cores.
//
// Eight initialisers, and T-Few's loss with the default one, each with the same three seeds, rows, steps and rate. The rate
// is that of the demo, chosen on training rows; nothing is chosen by the test rows.
local grid = import 'sft/grid.libsonnet';

local data = '../../../data/demo/';

local base = {
  dataset: {
    path: data + 'tweets',
    task_type: 'classification',
    max_n_test: 200,
  },
  model: { name: data + 'SmolLM2-135M-Instruct' },
  prompting: {
    instruction: 'Classify the sentiment of the tweet. Answer with one word: {labels}.',
    input_columns: ['text'],
    output_column: 'label',
  },
  // 3 epochs over 48 rows in batches of 8: 18 steps.
  training: { trainer_args: { learning_rate: 3e-4, num_train_epochs: 3, per_device_train_batch_size: 8 } },
};

local lora(init=null) = grid.lora(shots=16, init=init) + { lora+: { r: 8, lora_alpha: 16 } };

grid.product(base, [
  { default: lora(), 'default-t-few': lora() + { training+: { objective: 't_few' } } }
  + { [name]: lora(name) for name in ['eva', 'lora_ga', 'milora', 'olora', 'orthogonal', 'pca', 'pissa'] },
  grid.seeds([13, 14, 15]),
])
