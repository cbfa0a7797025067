// Building blocks of a grid: `local grid = import 'sft/grid.libsonnet';`
//
// An axis is a map from a name to a patch, a partial config. Maps are walked in alphabetical order, and the names of
// an experiment's patches are joined with '/'.

// An object that names one of these chooses an alternative; options of the former choice must not stay beside it.
local choices = ['method', 'calibration_fn', 'config_class'];

local chooses(value) = std.length([key for key in choices if std.objectHas(value, key)]) > 0;

// `patch` over `target`, deeply. null, lists, plain values and objects that choose replace what was there.
local merge(target, patch) = target + {
  [key]:
    if std.isObject(patch[key]) && std.objectHas(target, key) && std.isObject(target[key]) && !chooses(patch[key])
    then merge(target[key], patch[key])
    else patch[key]
  for key in std.objectFields(patch)
};

local checked_axis(axis) =
  if !std.isObject(axis)
  then error 'grid: an axis must be a map from names to patches, got ' + std.type(axis)
  else
    local wrong = [name for name in std.objectFields(axis) if !std.isObject(axis[name])];
    if wrong == [] then axis
    else error 'grid: the patch "%s" must be an object, got %s' % [wrong[0], std.type(axis[wrong[0]])];

// One more axis: every entry so far, with every patch of the axis over it.
local extended(entries, axis) =
  local named = checked_axis(axis);
  local names = std.objectFields(named);
  [
    {
      name: if entry.name == null then name else entry.name + '/' + name,
      config: merge(entry.config, named[name]),
    }
    for entry in entries
    for name in names
  ];

local untrained(shots, k) = {
  dataset: { shots: shots },
  lora: null,
  adapter: { method: 'none' },
  inference: { icl_examples: k },
};

{
  // Every combination of one patch from each axis over `base`: `{configs: {'a/b/c': config}}`.
  product(base, axes)::
    if !std.isArray(axes) || axes == [] then error 'grid.product: axes must be a list of at least one axis'
    else
      local entries = std.foldl(extended, axes, [{ name: null, config: base }]);
      { configs: { [entry.name]: entry.config for entry in entries } },

  // One axis from several with the same names: patches of equal names are merged, the later over the earlier.
  zip(axes)::
    if !std.isArray(axes) || axes == [] then error 'grid.zip: axes must be a list of at least one axis'
    else
      local names = std.objectFields(checked_axis(axes[0]));
      local other = [axis for axis in axes if std.objectFields(checked_axis(axis)) != names];
      if other != [] then
        error 'grid.zip: the axes have different names: %s and %s'
              % [std.join(', ', names), std.join(', ', std.objectFields(other[0]))]
      else { [name]: std.foldl(function(patch, axis) merge(patch, axis[name]), axes[1:], axes[0][name]) for name in names },

  // An axis of repetitions; `seeds([13])` names its entry `seed13`.
  seeds(values):: { ['seed' + value]: { seed: value } for value in values },

  // The model as it is: no shots, no training, no in-context examples.
  zero_shot:: untrained(0, 0),

  // No training: `k` in-context examples (per label for classification) out of `shots`.
  in_context(shots, k):: untrained(shots, k),

  // LoRA trained on `shots`, over the base's `lora`; `init` names an initialiser.
  lora(shots, init=null):: {
    dataset: { shots: shots },
    adapter: null,
    lora: if init == null then {} else { init_lora_weights: init },
  },

  // Any method of `sft methods` trained on `shots`, with its own `options` and no others.
  method(name, shots, options={})::
    if !std.isObject(options) then error 'grid.method: options must be an object, got ' + std.type(options)
    else if std.objectHas(options, 'method') then
      error 'grid.method: options name a method (%s) beside the first argument, %s' % [options.method, name]
    else { dataset: { shots: shots }, lora: null, adapter: { method: name } + options },
}
