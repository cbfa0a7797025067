// How well does a model foretell the descriptions of functions, before and after it was trained on some of them?
// Texts are trained whole, without a prompt, several of them in one piece of the model's context (packing).
//
// Run:  python -m sft.cli run-experiments etc/configs/jsonnet/whole_texts.jsonnet --results-path results/texts
// Needs: make demo-data-tasks. About 12 minutes on 2 cores.
local grid = import 'sft/grid.libsonnet';

local data = '../../../data/demo/';

local base = {
  dataset: { path: data + 'synopses', task_type: 'text', shots: 0, max_n_test: 60 },
  model: { name: data + 'SmolLM2-135M-Instruct' },
  prompting: { output_column: 'description' },  // no input column: all of the text is what is trained and measured
};

local trained(shots) = grid.lora(shots) + {
  training: {
    trainer_args: { learning_rate: 3e-4, num_train_epochs: 2, packing: true, max_length: 512 },
  },
};

grid.product(base, [{
  'as-it-is': grid.zero_shot,
  'lora-032': trained(32),
  'lora-128': trained(128),
}])
