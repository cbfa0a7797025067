// What works best for the sentiment of tweets with 16 labelled examples per class?
// Zero-shot, in-context examples, or LoRA on the very same examples, with which initialisation?
//
//     make demo      (all of it: about 6 minutes on 2 cores, installation aside)
//
// The learning rate was chosen on training rows that are not used here: etc/demo/rates.jsonnet.
local grid = import 'sft/grid.libsonnet';

local data = '../../../data/demo/';

local base = {
  dataset: {
    path: data + 'tweets',  // train.jsonl and test.jsonl, with columns text and label
    task_type: 'classification',
    max_n_test: 100,
  },
  model: { name: data + 'SmolLM2-135M-Instruct' },
  prompting: {
    instruction: 'Classify the sentiment of the tweet. Answer with one word: {labels}.',
    input_columns: ['text'],
    output_column: 'label',
  },
};

// 5 epochs over 48 rows in batches of 8: 30 steps.
local lora(init=null) = grid.lora(shots=16, init=init) + {
  lora+: { r: 8, lora_alpha: 16 },
  training: {
    trainer_args: { learning_rate: 3e-4, num_train_epochs: 5, per_device_train_batch_size: 8 },
  },
};

// The same rows as free text: the model writes the label, and shots count in total.
local text_generation = grid.in_context(shots=48, k=2) + {
  dataset+: { task_type: 'generation' },
  prompting: {
    instruction: 'Classify the sentiment of the tweet. Answer with one word: negative, neutral, positive.',
    max_output_length: 8,
  },
  evaluation: { metrics: ['exact_match', 'rougeL'] },
};

grid.product(base, [{
  'zero-shot': grid.zero_shot,
  'in-context-1': grid.in_context(shots=16, k=1),
  'in-context-2': grid.in_context(shots=16, k=2),
  'lora-default': lora(),
  'lora-pca': lora('pca'),
  'lora-pissa': lora('pissa'),
  'text-generation': text_generation,
}])
