// What does calibration gain, on the model as it is, with examples in the prompt, and after LoRA?
//
// The board shows macro_f1 and beside it uncalibrated_macro_f1, from the same scores. Calibrators that need no further
// prompts cost no model time; the others add some prompts to each of the three methods, scored once and shared.
//
// Run:  python -m sft.cli run-experiments etc/configs/jsonnet/calibration.jsonnet --results-path results/calibration
// Needs only: make demo-data. About 6 minutes on 2 cores.
local grid = import 'sft/grid.libsonnet';

local base = {
  dataset: { path: '../../../data/demo/tweets', task_type: 'classification', shots: 0, max_n_test: 100 },
  model: { name: '../../../data/demo/SmolLM2-135M-Instruct' },
  prompting: {
    instruction: 'Classify the sentiment of the tweet. Answer with one word: {labels}.',
    input_columns: ['text'],
    output_column: 'label',
  },
  evaluation: { metrics: ['macro_f1', 'accuracy', 'log_loss', 'ece'] },
};

local calibrated(name, options={}) = { inference: { calibration_args: { calibration_fn: name } + options } };

grid.product(base, [
  {
    'zero-shot': grid.zero_shot,
    'in-context': grid.in_context(shots=16, k=2),
    lora: grid.lora(shots=16) + { training: { trainer_args: { learning_rate: 3e-4, num_train_epochs: 5 } } },
  },
  {
    none: calibrated('none'),
    contextual: calibrated('contextual'),
    domain: calibrated('domain', { num_estimations: 20 }),
    // Looks at the scores of all test rows at once.
    batch: calibrated('batch', { space: 'logit' }),
    // Both are fitted on labelled rows: of the 16 shots per label those that are not shown, for zero-shot any training
    // rows. Those of LoRA were also trained on, and the board says so.
    adjustable_batch: calibrated('adjustable_batch', { gamma_range: [-5, 5], num_train_samples: 48 }),
    temperature: calibrated('temperature', { num_train_samples: 48 }),
  },
])
