// How do few shots and many shots compare, in context and with LoRA, on the demo model?
//
// Run:  python -m sft.cli run-experiments etc/configs/jsonnet/tweets_demo.jsonnet --results-path results/tweets
// Needs only: make demo-data. About 15 minutes on 2 cores.
local grid = import 'sft/grid.libsonnet';

local base = {
  dataset: {
    path: '../../../data/demo/tweets',
    task_type: 'classification',
    shots: 0,
    max_n_test: 150,  // a fixed sample: the same rows for every experiment
  },
  model: { name: '../../../data/demo/SmolLM2-135M-Instruct' },
  prompting: {
    instruction: 'Classify the sentiment of the tweet. Answer with one word: {labels}.',
    input_columns: ['text'],
    output_column: 'label',
  },
  evaluation: { metrics: ['macro_f1', 'accuracy', 'mcc', 'log_loss', 'ece'], ece_bins: 10 },
};

local shots = [4, 16];

// The 4 shots are among the 16, and in-context examples are drawn from the shots that LoRA trains on.
local methods = { 'zero-shot': grid.zero_shot }
                + { ['in-context-%02d' % n]: grid.in_context(shots=n, k=1) for n in shots }
                + {
                  ['lora-%02d' % n]: grid.lora(shots=n) + {
                    training: { trainer_args: { learning_rate: 3e-4, num_train_epochs: 5 } },
                  }
                  for n in shots
                };

grid.product(base, [methods])
