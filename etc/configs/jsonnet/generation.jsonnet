// Can the model answer short questions in its own words, and what do examples in the prompt change?
// A generation experiment: the answer is written token by token and compared with the reference text.
//
// Run:  python -m sft.cli run-experiments etc/configs/jsonnet/generation.jsonnet --results-path results/questions
// Needs only: make demo-data. About 2 minutes on 2 cores.
local grid = import 'sft/grid.libsonnet';

local base = {
  dataset: {
    path: '../data/questions',  // a folder with train.jsonl and test.jsonl
    task_type: 'generation',
    shots: 0,  // in generation: rows in total, not per label
  },
  model: { name: '../../../data/demo/SmolLM2-135M-Instruct' },
  prompting: {
    instruction: 'Answer the question with one word.',
    input_columns: ['question'],
    output_column: 'answer',
  },
  inference: { generation_args: { max_new_tokens: 8 } },  // greedy unless do_sample is true
  evaluation: { metrics: ['exact_match', 'rougeL'] },
};

grid.product(base, [{
  'zero-shot': grid.zero_shot,
  'in-context-fixed': grid.in_context(shots=20, k=4),
  // Other examples for each question, drawn anew.
  'in-context-drawn': grid.in_context(shots=20, k=4) + { inference+: { random_icl: true } },
}])
