// Which of 150 things does a customer of a bank want? And does it help to list all of them in the prompt?
//
// Run:  python -m sft.cli run-experiments etc/configs/jsonnet/many_labels.jsonnet --results-path results/requests
// Needs only: make demo-data. About 3 minutes on 2 cores.
//
// The demo's model is far too small for 150 labels and does little better than chance (0.7 %): this is about what so
// many labels cost. Give `model.name` a larger one for the answers.
//
// What it costs, and the tree of the labels:
//     python -m sft.cli inspect etc/configs/jsonnet/many_labels.jsonnet --only listed/sum --rows 1
// Each label after each prompt would be 9,000 sequences, 4.5 million tokens with the list in the prompt; shared, it is
// 12 thousand.
local grid = import 'sft/grid.libsonnet';

// 15 topics with 10 requests each. A label is topic and request, so that the labels of a topic begin with the same
// tokens: the labels run as a tree after each prompt, and what they share runs once. They are of like length too, for
// in a sum every further token costs; `mean` makes up for that where they are not.
local topics = {
  account: ['opening', 'closing', 'blocked', 'holder', 'number', 'type', 'proof', 'limit', 'sharing', 'overdrawn'],
  address: ['change', 'abroad', 'proof', 'wrong', 'second', 'missing', 'format', 'company', 'old', 'update'],
  app: ['crash', 'login', 'update', 'language', 'notification', 'device', 'password', 'code', 'speed', 'download'],
  bill: ['copy', 'date', 'fee', 'wrong', 'double', 'reminder', 'split', 'dispute', 'paper', 'email'],
  card: ['lost', 'stolen', 'broken', 'late', 'swallowed', 'expired', 'declined', 'design', 'second', 'activation'],
  cash: ['deposit', 'limit', 'machine', 'coins', 'missing', 'foreign', 'fee', 'torn', 'large', 'shop'],
  currency: ['rate', 'order', 'fee', 'account', 'wrong', 'refund', 'travel', 'list', 'limit', 'transfer'],
  fraud: ['call', 'email', 'payment', 'card', 'message', 'website', 'identity', 'report', 'refund', 'check'],
  insurance: ['travel', 'phone', 'claim', 'cancel', 'price', 'proof', 'family', 'car', 'home', 'cover'],
  interest: ['rate', 'payment', 'tax', 'wrong', 'date', 'change', 'savings', 'negative', 'bonus', 'proof'],
  loan: ['apply', 'rate', 'early', 'late', 'refused', 'amount', 'term', 'student', 'car', 'statement'],
  mortgage: ['apply', 'rate', 'fixed', 'early', 'value', 'switch', 'fee', 'joint', 'late', 'papers'],
  pin: ['forgotten', 'change', 'blocked', 'late', 'wrong', 'online', 'safe', 'new', 'abroad', 'phone'],
  statement: ['copy', 'paper', 'online', 'missing', 'wrong', 'yearly', 'language', 'date', 'tax', 'entry'],
  transfer: ['late', 'cancel', 'wrong', 'limit', 'standing', 'abroad', 'fee', 'refused', 'instant', 'proof'],
};
local labels = ['%s %s' % [topic, request] for topic in std.objectFields(topics) for request in topics[topic]];
assert std.length(labels) == 150;

local base = {
  dataset: {
    path: '../data/requests',  // test.jsonl only: nothing is trained and no example is shown, so no train split is needed
    task_type: 'classification',
    shots: 0,
    labels: labels,
  },
  model: { name: '../../../data/demo/SmolLM2-135M-Instruct' },
  prompting: { input_columns: ['text'], output_column: 'request' },
  // Nothing to set for memory: a forward pass holds so many tokens as the machine has room for, of however many
  // prompts and labels. A label tree that is larger, of a thousand labels say, is cut into chunks of neighbours in the
  // tree; a prompt still runs once and is kept for all its chunks. `inference.batch_size: 4` would allow four prompts
  // in a pass, if there is less room than it seems.
};

grid.product(base, [
  {
    // The list makes every prompt ten times longer and costs little: all prompts begin with it, so it runs once.
    listed: { prompting: { instruction: 'What does the customer write about? Answer with one of: {labels}.' } },
    unlisted: { prompting: { instruction: 'What does the customer write about? Answer with topic and problem.' } },
  },
  {
    // How scores are compared needs no second run of the model: both share one scoring.
    sum: { inference: { label_scoring: { normalization: 'sum' } } },
    mean: { inference: { label_scoring: { normalization: 'mean' } } },
  },
])
