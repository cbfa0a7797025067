// Patches for the axes of a grid: `local methods = import 'lib/methods.libsonnet';`
local grid = import 'sft/grid.libsonnet';

local bitsandbytes(args) = { model: { quantization: { config_class: 'BitsAndBytesConfig', args: args } } };

// How nyuntam_adapt trains where nothing is said: what differs from the defaults here and changes a number.
local nyuntam_training = {
  training: {
    trainer_args: {
      learning_rate: 1e-4,
      num_train_epochs: 2,
      optim: 'adamw_torch',
      per_device_train_batch_size: 16,
    },
  },
};

local nyuntam_options = {
  lora: { lora_alpha: 16, lora_dropout: 0.1 },
  dora: { r: 16, lora_dropout: 0.1 },
  ssf: {},
  full: {},
  last_layer: {},
};

{
  // nyuntam_adapt's defaults of each method (docs/nyuntam.md). Two patches are added: `nyuntam(16).dora + four_bit`.
  nyuntam(shots):: {
    [name]: grid.method(name, shots, nyuntam_options[name]) + nyuntam_training
    for name in std.objectFields(nyuntam_options)
  },

  // Bases in 4 and in 8 bits as nyuntam_adapt stores them; the first computes in float16, so for a GPU.
  four_bit:: bitsandbytes({ load_in_4bit: true, bnb_4bit_quant_type: 'nf4', bnb_4bit_compute_dtype: 'float16' }),
  eight_bit:: bitsandbytes({ load_in_8bit: true }),

  // Several short rows in one sequence, as nyuntam_adapt trains on free text.
  packed:: { training: { trainer_args: { packing: true, max_length: 512 } } },
}
