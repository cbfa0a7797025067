// What does calibration gain, on the model as it is, with examples in the prompt, and after LoRA?
//
// The methods are those of the demo. After `make demo` its results folder holds their trainings and scores, and what is
// left are the prompts that some calibrators add; the others never load a model:
//
//     python -m sft.cli run-experiments etc/configs/jsonnet/calibration.jsonnet --results-path results/demo
//
// Needs only: make demo-data. About 2 minutes on 2 cores after the demo, 5 without.
//
// The board shows macro_f1 and beside it uncalibrated_macro_f1, from the same scores.
local grid = import 'sft/grid.libsonnet';

local demo = (import 'quickstart.jsonnet').configs;

local calibrated(name, options={}) = { inference: { calibration_args: { calibration_fn: name } + options } };

grid.product({}, [
  { [method]: demo[method] for method in ['zero-shot', 'in-context-2', 'lora-default'] },
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
