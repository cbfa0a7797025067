// What can one small encoder-decoder be asked? To choose a label, by the probability that its decoder gives to each label
// behind what the encoder has read; and to write a text. Each task type has a board of its own.
//
// Run:  python -m sft.cli run-experiments etc/configs/jsonnet/encoder_decoder.jsonnet --results-path results/small_t5
// Needs: make demo-models. Less than 2 minutes on 2 cores.
local grid = import 'sft/grid.libsonnet';

local data = '../../../data/demo/';

local base = {
  dataset: { path: data + 'translations', shots: 0, max_n_test: 100 },
  model: { name: data + 'small-t5' },
  prompting: { input_columns: ['translation.en'] },
};

// Is it a name, or a message that a program shows?
local kind = {
  dataset: { task_type: 'classification' },
  prompting: { input_template: 'kind: {translation.en}', output_column: 'kind' },
};

local german = {
  dataset: { task_type: 'generation' },
  prompting: { output_column: 'translation.de', max_output_length: 32 },
  evaluation: { metrics: ['exact_match', 'chrf'] },
};

local trained(shots) = grid.method('full', shots) + {
  training: { trainer_args: { learning_rate: 1e-3, num_train_epochs: 5, per_device_train_batch_size: 8 } },
};

local boards = [
  grid.product(base, [{ kind: kind }, { 'as-it-is': grid.zero_shot, trained: trained(16) }]),
  grid.product(base, [{ german: german }, { 'as-it-is': grid.zero_shot, trained: trained(32) }]),
];

{ configs: std.foldl(function(all, board) all + board.configs, boards, {}) }
