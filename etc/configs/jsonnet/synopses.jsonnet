// Which model writes the better one-line synopsis of a description: a small encoder-decoder that was trained on such
// pairs, or a decoder that is prompted or tuned with LoRA on 32 of them? Baselines are the first sentence and a copy.
//
// Run:  python -m sft.cli run-experiments etc/configs/jsonnet/synopses.jsonnet --results-path results/synopses
// Needs: make demo-models. About 4 minutes on 2 cores.
local grid = import 'sft/grid.libsonnet';

local data = '../../../data/demo/';

local base = {
  dataset: { path: data + 'synopses', task_type: 'summarization', shots: 0, max_n_test: 60 },
  prompting: {
    input_columns: ['description'],
    output_column: 'synopsis',
    max_input_length: 192,  // tokens; what is beyond is cut and counted
    max_output_length: 32,  // tokens of a synopsis in prompts and training, and of what is written
  },
};

// The encoder reads the input alone, so that what is asked stands in the template: the words that it was trained with.
local encoder_decoder = {
  model: { name: data + 'small-t5' },
  prompting: { input_template: 'summarize: {description}' },
};

local decoder = {
  model: { name: data + 'SmolLM2-135M-Instruct' },
  prompting: { instruction: 'Sum up the description in one line that begins with a verb.' },
};

local steps(rate) = {
  training: { trainer_args: { learning_rate: rate, num_train_epochs: 3, per_device_train_batch_size: 4 } },
};

grid.product(base, [{
  'seq2seq-as-it-is': encoder_decoder + grid.zero_shot,
  'seq2seq-lora': encoder_decoder + grid.lora(shots=32) + steps(1e-3),
  'prompt-zero-shot': decoder + grid.zero_shot,
  'prompt-in-context': decoder + grid.in_context(shots=32, k=4),
  'prompt-lora': decoder + grid.lora(shots=32) + steps(2e-4),
}])
