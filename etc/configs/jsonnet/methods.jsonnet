// Which adapter method learns most from 16 tweets per label, and what does a quantised base cost?
//
// Run:  python -m sft.cli run-experiments etc/configs/jsonnet/methods.jsonnet --results-path results/methods --jobs 2
// Needs: make demo-data, and bitsandbytes (pip install 'sft-grid[quantization]'). About 30 minutes on 2 cores.
//
// Twelve methods with one seed, beside prompting with an example of each label; the four best with two seeds more; LoRA
// on the same base in 8 and in 4 bits. Ranked on dev rows, so that the test rows choose nothing.
local grid = import 'sft/grid.libsonnet';

local shots = 16;

local base = {
  dataset: {
    path: '../../../data/demo/tweets/train.jsonl',
    task_type: 'classification',
    splits: { test: 0.3, dev: 0.15 },
    max_n_test: 200,
    max_n_dev: 100,
    shots: shots,
  },
  model: { name: '../../../data/demo/SmolLM2-135M-Instruct' },
  prompting: {
    instruction: 'Classify the sentiment of the tweet. Answer with one word: {labels}.',
    input_columns: ['text'],
    output_column: 'label',
  },
  // 2 epochs over 48 rows in batches of 3: 32 steps.
  training: { trainer_args: { num_train_epochs: 2, per_device_train_batch_size: 3 } },
};

// Rates were set beforehand, by what is usual for each method (docs/methods.md): the fewer numbers it trains, and the
// nearer to the identity they begin, the larger. Those of last_layer, oft and ssf were corrected once, after a first run, by
// their training losses: that of last_layer hardly fell at 1e-4; the others rose in the first steps, at 1e-3 and 5e-3.
local trained(method, rate, options={}) =
  grid.method(method, shots, options) + { training: { trainer_args: { learning_rate: rate } } };
local low_rank = { r: 8, lora_alpha: 16 };

local methods = {
  bottleneck: trained('bottleneck', 1e-3, { reduction_factor: 16 }),
  dora: trained('dora', 1e-3, low_rank),
  full: trained('full', 5e-5),
  ia3: trained('ia3', 1e-2),
  last_layer: trained('last_layer', 1e-3),
  ln_tuning: trained('ln_tuning', 3e-3),
  lora: trained('lora', 1e-3, low_rank),
  'lora-pissa': trained('lora', 3e-4, low_rank { init_lora_weights: 'pissa' }),
  oft: trained('oft', 2e-4),
  prompt_tuning: trained('prompt_tuning', 1e-2, { num_virtual_tokens: 10, prompt_tuning_init: 'SAMPLE_VOCAB' }),
  ssf: trained('ssf', 1e-3),
  vera: trained('vera', 2e-2, { r: 64 }),
};

// Of the seed 13 alone, by its dev rows.
local best = ['bottleneck', 'lora', 'full', 'lora-pissa'];

local stored(args) =
  methods.lora + { model+: { quantization: { config_class: 'BitsAndBytesConfig', args: args } } };

local prompted = { 'in-context': grid.in_context(shots, k=1) + { training: null } };

local parts = [
  grid.product(base, [methods + prompted, grid.seeds([13])]),
  grid.product(base, [{ [name]: methods[name] for name in best }, grid.seeds([14, 15])]),
  grid.product(base, [
    {
      'lora-int8': stored({ load_in_8bit: true }),
      'lora-nf4': stored({ load_in_4bit: true, bnb_4bit_quant_type: 'nf4', bnb_4bit_compute_dtype: 'float32' }),
    },
    grid.seeds([13]),
  ]),
];

{ configs: std.foldl(function(all, part) all + part.configs, parts, {}) }
