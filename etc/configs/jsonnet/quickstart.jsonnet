// Which of these works best for the sentiment of tweets with 16 labelled examples per class?
// The demo: make demo
local grid = import 'sft/grid.libsonnet';

local data = '../../../data/demo/';

local base = {
  dataset: {
    path: data + 'tweets',
    task_type: 'classification',
    shots: 0,
    max_n_test: 200,
  },
  model: { name: data + 'SmolLM2-135M-Instruct' },
  prompting: {
    instruction: 'Classify the sentiment of the tweet. Answer with one word: {labels}.',
    input_columns: ['text'],
    output_column: 'label',
  },
};

// LoRA on the same 16 shots per label that the in-context examples are drawn from.
local trained(init, learning_rate) = grid.lora(shots=16, init=init) + {
  lora+: { r: 8, lora_alpha: 16 },
  training: {
    trainer_args: {
      learning_rate: learning_rate,
      num_train_epochs: 5,
      per_device_train_batch_size: 8,
    },
  },
};

grid.product(base, [{
  'zero-shot': grid.zero_shot,
  'in-context-1': grid.in_context(shots=16, k=1),
  'in-context-2': grid.in_context(shots=16, k=2),
  'lora-default': trained(null, 3e-4),
  'lora-pca': trained('pca', 3e-4),
  'lora-pissa': trained('pissa', 3e-4),
}])
