// What does quantisation of the base model cost, before and after LoRA training on it (QLoRA)?
//
// Run:  python -m sft.cli run-experiments etc/configs/jsonnet/quantized.jsonnet --results-path results/quantized
// Needs: make demo-data, and bitsandbytes (pip install 'sft-grid[quantization]'). About 10 minutes on 2 cores, where
// it saves memory but no time.
local grid = import 'sft/grid.libsonnet';

local base = {
  dataset: { path: '../../../data/demo/tweets', task_type: 'classification', shots: 0, max_n_test: 100 },
  model: { name: '../../../data/demo/SmolLM2-135M-Instruct' },
  prompting: {
    instruction: 'Classify the sentiment of the tweet. Answer with one word: {labels}.',
    input_columns: ['text'],
    output_column: 'label',
  },
};

// Any quantisation class of transformers with its arguments; data types are written as text.
local bitsandbytes(args) = { model: { quantization: { config_class: 'BitsAndBytesConfig', args: args } } };

local trained(init) = grid.lora(shots=8, init=init) + {
  training: { trainer_args: { learning_rate: 3e-4, num_train_epochs: 3 } },
};

grid.product(base, [
  {
    full: { model: { quantization: null } },
    '8bit': bitsandbytes({ load_in_8bit: true }),
    '4bit': bitsandbytes({
      load_in_4bit: true,
      bnb_4bit_quant_type: 'nf4',
      bnb_4bit_use_double_quant: true,
      bnb_4bit_compute_dtype: 'float32',  // bfloat16 on a GPU
    }),
  },
  { 'zero-shot': grid.zero_shot, lora: trained(null), 'lora-pissa': trained('pissa') },
])
