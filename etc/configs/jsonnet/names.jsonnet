// English names and messages in German: what do a small encoder-decoder and a prompted decoder make of them, and what do
// 64 pairs more change? The baseline copies the input, which is right where a name is the same in both languages.
//
// Run:  python -m sft.cli run-experiments etc/configs/jsonnet/names.jsonnet --results-path results/names
// Needs: make demo-models. About 12 minutes on 2 cores.
local grid = import 'sft/grid.libsonnet';

local data = '../../../data/demo/';

local base = {
  dataset: { path: data + 'translations', task_type: 'translation', shots: 0, max_n_test: 80 },
  prompting: {
    input_columns: ['translation.en'],  // a dot leads into a nested column
    output_column: 'translation.de',
    max_output_length: 32,
  },
  // chrF ranks: of texts of two or three words BLEU is 0 for most.
  evaluation: { metrics: ['chrf', 'bleu', 'exact_match'], slices: ['kind'] },
};

local encoder_decoder = {
  model: { name: data + 'small-t5' },
  prompting: { input_template: 'translate English to German: {translation.en}' },
};

local decoder = {
  model: { name: data + 'SmolLM2-135M-Instruct' },
  prompting: { instruction: 'Translate from English to German. Write only the translation.' },
};

local steps(rate) = {
  training: { trainer_args: { learning_rate: rate, num_train_epochs: 3, per_device_train_batch_size: 8 } },
};

grid.product(base, [{
  'seq2seq-as-it-is': encoder_decoder + grid.zero_shot,
  'seq2seq-full': encoder_decoder + grid.method('full', 64) + steps(3e-4),
  'prompt-in-context': decoder + grid.in_context(shots=64, k=8),
  'prompt-lora': decoder + grid.lora(shots=64) + steps(2e-4),
}])
