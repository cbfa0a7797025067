// Which words should stand for the labels? The model reads and writes the words of the map, while predictions and
// metrics keep the values of the data, so that the rows of the board compare.
//
// Run:  python -m sft.cli run-experiments etc/configs/jsonnet/label_words.jsonnet --results-path results/words
// Needs only: make demo-data. About 4 minutes on 2 cores.
local grid = import 'sft/grid.libsonnet';

local base = {
  dataset: { path: '../../../data/demo/tweets', task_type: 'classification', shots: 0, max_n_test: 100 },
  model: { name: '../../../data/demo/SmolLM2-135M-Instruct' },
  prompting: {
    instruction: 'What is the mood of the tweet? Answer with one of these: {labels}.',
    input_columns: ['text'],
    output_column: 'label',
  },
};

// Value in the data -> words in the prompt.
local words(negative, neutral, positive) = {
  dataset: { labels: { negative: negative, neutral: neutral, positive: positive } },
};

grid.product(base, [
  {
    plain: words('negative', 'neutral', 'positive'),
    simple: words('bad', 'so so', 'good'),
    letters: words('A', 'B', 'C'),
  },
  { 'zero-shot': grid.zero_shot, 'in-context': grid.in_context(shots=8, k=2) },
])
