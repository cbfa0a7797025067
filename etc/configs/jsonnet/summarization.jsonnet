// How well does a small model sum up a short news text in one sentence? Summarisation as generation, with ROUGE.
//
// Run:  python -m sft.cli run-experiments etc/configs/jsonnet/summarization.jsonnet --results-path results/news
// Needs only: make demo-data. About 4 minutes on 2 cores.
local grid = import 'sft/grid.libsonnet';

local base = {
  dataset: { path: '../data/news', task_type: 'generation', shots: 0 },
  model: { name: '../../../data/demo/SmolLM2-135M-Instruct' },
  prompting: {
    instruction: 'Sum up the text in one short sentence.',
    input_columns: ['text'],
    output_column: 'summary',
    max_input_length: 256,  // tokens; what is beyond is cut and counted
    max_output_length: 48,  // tokens of a summary in prompts and training, and of what is generated
  },
  evaluation: { metrics: ['rougeL', 'rouge1', 'rouge2', 'chrf'] },
};

grid.product(base, [{
  'zero-shot': grid.zero_shot,
  'in-context': grid.in_context(shots=16, k=2),
  lora: grid.lora(shots=16) + {
    training: { trainer_args: { learning_rate: 2e-4, num_train_epochs: 3, per_device_train_batch_size: 4 } },
  },
}])
