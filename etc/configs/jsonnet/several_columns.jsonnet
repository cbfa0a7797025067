// Own CSV file without splits, and several input columns: does the form in which they are shown matter?
//
// Run:  python -m sft.cli run-experiments etc/configs/jsonnet/several_columns.jsonnet --results-path results/tickets
// Needs only: make demo-data. About 3 minutes on 2 cores.
local grid = import 'sft/grid.libsonnet';

local base = {
  dataset: {
    path: '../data/tickets.csv',
    task_type: 'classification',
    shots: 0,
    // Shares of the one file, stratified by category, under a seed of their own. With a dev share the board ranks on
    // the dev rows and only reports the test rows.
    splits: { test: 0.3, dev: 0.15 },
    labels: ['billing', 'shipping', 'technical'],
    keep_columns: ['subject'],
  },
  model: { name: '../../../data/demo/SmolLM2-135M-Instruct' },
  prompting: {
    instruction: 'Which department takes care of this ticket? Answer with one word: {labels}.',
    input_columns: ['subject', 'text'],  // shown as `subject: ...` and `text: ...` lines
    output_column: 'category',
    max_input_length: 96,  // tokens of each column
  },
};

grid.product(base, [
  {
    lines: {},
    template: { prompting: { input_template: '{text}\n\n(Subject: {subject})' } },
    'text-only': { prompting: { input_columns: ['text'] } },
  },
  { 'zero-shot': grid.zero_shot, 'in-context': grid.in_context(shots=8, k=2) },
])
