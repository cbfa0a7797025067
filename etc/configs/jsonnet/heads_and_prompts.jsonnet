// Does a small encoder with a head beat a prompted decoder on 16 or 64 tweets per label?
//
// Run:  python -m sft.cli run-experiments etc/configs/jsonnet/heads_and_prompts.jsonnet --results-path results/heads
// Needs: make demo-data demo-models. About 8 minutes on 2 cores, nearly all of them for the decoder.
//
// The decoder of the demo as it is, with examples in the prompt, and with LoRA; MiniLM with a new head, trained in three
// ways. All of them have the same shots, rows and seeds, and stand on one board; its baselines are measured beside them.
local grid = import 'sft/grid.libsonnet';

local data = '../../../data/demo/';

local base = {
  dataset: { path: data + 'tweets', task_type: 'classification', max_n_test: 200 },
  prompting: { input_columns: ['text'], output_column: 'label' },
  // A third baseline: logistic regression on the encoder's own embeddings, which trains nothing of it.
  evaluation: { baseline_encoder: data + 'all-MiniLM-L6-v2' },
};

local decoder = {
  model: { name: data + 'SmolLM2-135M-Instruct' },
  prompting: { instruction: 'Classify the sentiment of the tweet. Answer with one word: {labels}.' },
};

// An encoder cannot be prompted: it answers by a head, which reads the text alone. The head is new, so that it is trained
// and saved with every method, and there is no such set-up without shots.
local encoder = { model: { name: data + 'all-MiniLM-L6-v2' } };

// Of both models the steps are the same whatever the shots are: 60 of 8 rows for the encoder, 24 for the decoder, which
// is six times as large. Rates were set beforehand: the decoder's is that of the demo, the encoder's are what is usual for
// each method; that of `full` was corrected once, by its training loss, which hardly fell at 5e-5.
local steps(n, rate) = {
  training: { trainer_args: { max_steps: n, per_device_train_batch_size: 8, learning_rate: rate } },
};
local head(method, shots, rate) = encoder + grid.method(method, shots) + steps(60, rate);

local trained(shots) = {
  ['prompt-lora-%d' % shots]: decoder + grid.lora(shots) + { lora+: { r: 8, lora_alpha: 16 } } + steps(24, 3e-4),
  ['head-full-%d' % shots]: head('full', shots, 2e-4),
  ['head-lora-%d' % shots]: head('lora', shots, 2e-3),
  ['head-last_layer-%d' % shots]: head('last_layer', shots, 1e-3),
};

local parts = [
  grid.product(base, [{ 'zero-shot': decoder + grid.zero_shot }]),
  grid.product(base, [
    { 'in-context-2': decoder + grid.in_context(shots=16, k=2) } + trained(16) + trained(64),
    grid.seeds([13, 14, 15]),
  ]),
];

{ configs: std.foldl(function(all, part) all + part.configs, parts, {}) }
