// Chat template or plain text: in which form does the model make most of the examples in its prompt?
// `plain` is the form for base models, which have no chat template: question, `Answer:`, blank line.
//
// Run:  python -m sft.cli run-experiments etc/configs/jsonnet/plain_format.jsonnet --results-path results/plain
// Needs only: make demo-data. About 4 minutes on 2 cores.
local grid = import 'sft/grid.libsonnet';

local base = {
  dataset: { path: '../../../data/demo/tweets', task_type: 'classification', shots: 0, max_n_test: 100 },
  model: { name: '../../../data/demo/SmolLM2-135M-Instruct' },
  prompting: {
    instruction: 'Classify the sentiment of the tweet as {labels}.',
    input_columns: ['text'],
    output_column: 'label',
  },
};

grid.product(base, [
  { chat: { prompting: { format: 'chat' } }, plain: { prompting: { format: 'plain' } } },
  { 'in-context-0': grid.zero_shot, 'in-context-2': grid.in_context(shots=16, k=2) },
])
