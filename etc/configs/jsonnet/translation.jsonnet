// English to German: does LoRA on two dozen sentence pairs help a model that has hardly seen German?
// Translation as generation, with BLEU and chrF.
//
// Run:  python -m sft.cli run-experiments etc/configs/jsonnet/translation.jsonnet --results-path results/translation
// Needs only: make demo-data. About 4 minutes on 2 cores.
local grid = import 'sft/grid.libsonnet';

local base = {
  dataset: { path: '../data/english_german', task_type: 'generation', shots: 0 },
  model: { name: '../../../data/demo/SmolLM2-135M-Instruct' },
  prompting: {
    instruction: 'Translate the sentence from English to German. Write only the translation.',
    input_columns: ['en'],
    output_column: 'de',
    max_output_length: 40,
  },
  evaluation: { metrics: ['chrf', 'bleu', 'exact_match'] },  // the first one ranks
};

grid.product(base, [{
  'zero-shot': grid.zero_shot,
  'in-context': grid.in_context(shots=24, k=8),
  lora: grid.lora(shots=24) + {
    lora+: { r: 16, lora_alpha: 16 },
    training: { trainer_args: { learning_rate: 3e-4, num_train_epochs: 5, per_device_train_batch_size: 4 } },
  },
}])
