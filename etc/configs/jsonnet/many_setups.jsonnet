// Which of five set-ups, with which calibrator, over three seeds? A board on which little can be told apart says so.
//
// Run:  python -m sft.cli run-experiments etc/configs/jsonnet/many_setups.jsonnet --results-path results/many
// Needs only: make demo-data. 45 names of 39 runs, as no seed changes a zero-shot run; about 20 minutes on 2 cores.
local grid = import 'sft/grid.libsonnet';

local base = {
  dataset: {
    path: '../../../data/demo/tweets',
    task_type: 'classification',
    shots: 0,
    max_n_test: 200,  // a fixed sample: the same rows for every experiment
  },
  model: { name: '../../../data/demo/SmolLM2-135M-Instruct' },
  prompting: {
    instruction: 'Classify the sentiment of the tweet. Answer with one word: {labels}.',
    input_columns: ['text'],
    output_column: 'label',
  },
  training: { trainer_args: { learning_rate: 3e-4, num_train_epochs: 5 } },
  evaluation: { metrics: ['macro_f1', 'accuracy', 'mcc', 'log_loss', 'brier', 'ece'], ece_bins: 10 },
};

local setups = {
  'zero-shot': grid.zero_shot + { training: null },
  'in-context-1': grid.in_context(shots=8, k=1) + { training: null },
  'in-context-2': grid.in_context(shots=8, k=2) + { training: null },
  'lora-default': grid.lora(shots=8),
  'lora-pissa': grid.lora(shots=8, init='pissa'),
};

local calibrators = {
  plain: {},
  contextual: { inference: { calibration_args: { calibration_fn: 'contextual' } } },
  batch: { inference: { calibration_args: { calibration_fn: 'batch' } } },
};

grid.product(base, [setups, calibrators, grid.seeds([13, 14, 15])])
