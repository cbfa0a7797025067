// Which of eight topics does a text touch, and it may be several? A decoder that is asked about each topic, yes or no,
// beside an encoder with a head of one output per topic; and is a threshold of one half right for either?
//
// Run:  python -m sft.cli run-experiments etc/configs/jsonnet/topics.jsonnet --results-path results/topics
// Needs: make demo-models. About 6 minutes on 2 cores. The texts are made from lists of words (etc/demo/README.md): they say
// how the ways differ on them, not how well a model reads people.
local grid = import 'sft/grid.libsonnet';

local data = '../../../data/demo/';

local base = {
  dataset: {
    path: data + 'topics',
    task_type: 'multilabel',
    shots: 0,  // where rows are drawn: per topic, and a row counts for each of its topics
    max_n_test: 100,
  },
  prompting: { input_columns: ['text'], output_column: 'topics' },
};

local decoder = {
  model: { name: data + 'SmolLM2-135M-Instruct' },
  prompting: {
    instruction: 'Say for the topic after the text whether the text is about it: yes or no.',
    label_template: 'About {label}?',  // the line behind the text, once for each topic
  },
};

// A head has an output for each topic, and each output is a probability of its own.
local encoder = { model: { name: data + 'all-MiniLM-L6-v2' } };

local steps(rate) = {
  training: { trainer_args: { learning_rate: rate, num_train_epochs: 5, per_device_train_batch_size: 8 } },
};

// Chosen by micro F1 on training rows, from the same scores: nothing is scored twice.
local fitted = { inference: { threshold: 'fit' } };

grid.product(base, [{
  'prompt-zero-shot': decoder + grid.zero_shot,
  'prompt-zero-shot-fit': decoder + grid.zero_shot + fitted,
  'prompt-lora': decoder + grid.lora(shots=8) + steps(3e-4),
  'head-lora': encoder + grid.lora(shots=8) + steps(2e-3),
  'head-lora-fit': encoder + grid.lora(shots=8) + steps(2e-3) + fitted,
}])
