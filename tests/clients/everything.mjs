// What the TypeScript clients share: their arguments, one round of everything that a client can do (as `everything.py` has
// it for the Python clients), and the one line of JSON that says what they saw.
//
//   (--url URL [--token T] | --stdio COMMAND ARG…) [--mode auto|legacy|2026-07-28] [--call TOOL JSON]… [--read URI]…
//   [--everything NAME [--note FILE]] [--soak SECONDS --clients N --pause SECONDS --name NAME]
//
// `--stdio` comes last. A client is given as its hands: `connect(mode)` and what to do with the connection.
import { writeFileSync } from 'node:fs';

const patience = 60;
const range = { start_date: '2026-01-05', end_date: '2026-01-09' };
const note = 'docs://note';

export const options = parse(process.argv.slice(2));

// Runs a script with the hands that `make(mode)` gives.
export async function main(name, make) {
  if (options.soak) {
    await soak(make);
    process.exit(0);
  }
  const seen = { client: name, protocol: null, server: null, instructions: null, calls: [], reads: [], error: null };
  try {
    const hands = await make(options.mode);
    Object.assign(seen, hands.introduction(), await hands.lists());
    for (const [tool, json] of options.call) seen.calls.push(await hands.call(tool, JSON.parse(json)));
    for (const uri of options.read) seen.reads.push(...(await hands.read(uri)));
    if (options.everything) seen.features = await everything(hands, options.everything, options.note);
    await hands.close();
  } catch (error) {
    seen.error = `${error.name}: ${error.message}`;
  }
  console.log(JSON.stringify(seen));
  process.exit(seen.error ? 1 : 0);
}

const features = {
  list: (hands) => hands.lists(),
  call: async (hands) => [await hands.call('get_employee_schedule', range), await hands.call('fails', {})],
  read: async (hands) => [...(await hands.read('config://app/settings')), ...(await hands.read('schema://employee/7'))],
  prompt: (hands) => hands.prompt('plan', { month: 'July' }),
  complete: (hands) => hands.complete('plan', 'month', 'Ju'),
  subscribe: async (hands, name, file) => {
    let told;
    const updated = new Promise((resolve) => { told = resolve; });
    const leave = await hands.follow(note, told);
    let number = 0;
    // The server may not have begun to watch its files, so the change is made again.
    const change = () => file && writeFileSync(file, `${name} ${number++}`);
    const again = setInterval(change, 2000);
    change();
    try {
      return await updated;
    } finally {
      clearInterval(again);
      await leave();
    }
  },
  elicit: async (hands) => {
    hands.asked.length = 0;
    hands.answer = 'accept';
    const accepted = await hands.call('request_leave', { days: 9 });
    hands.answer = 'decline';
    const declined = await hands.call('request_leave', { days: 2 });
    return { asked: [...hands.asked], accepted, declined };
  },
  cancel: async (hands, name) => {
    const stop = new AbortController();
    const call = hands.call('slow', { id: name }, { signal: stop.signal }).catch(() => {});
    const begun = await hands.call('begun', { id: name });
    stop.abort();
    await call;
    const ended = await hands.call('ended', { id: name });
    return { begun: begun.text, ended: ended.text };
  },
  progress: async (hands) => {
    const steps = [];
    await hands.call('get_employee_schedule', range, { onprogress: ({ progress, message }) => steps.push([progress, message]) });
    return steps;
  },
};

async function everything(hands, name, file) {
  const seen = {};
  for (const [key, feature] of Object.entries(features)) {
    const reason = hands.cannot?.[key];
    seen[key] = reason ? { cannot: reason } : { did: await within(key, feature(hands, name, file)) };
  }
  return seen;
}

function within(what, work) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`${what} took too long`)), patience * 1000); });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

// What the user says to a question.
export function answerTo(hands, { message, requestedSchema }) {
  hands.asked.push(message);
  if (hands.answer !== 'accept') return { action: hands.answer };
  return { action: 'accept', content: requestedSchema?.properties?.text ? { text: 'a wedding' } : {} };
}

// Keeps several clients busy until the time is up; says how many rounds each made, and what went wrong.
async function soak(make) {
  const until = Date.now() + options.soak * 1000;
  const rest = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const one = async (number) => {
    const mode = number % 2 ? 'legacy' : 'auto';
    const name = `${options.name}-${number}`;
    await rest(Math.random() * options.pause);
    const hands = await make(mode);
    let rounds = 0;
    while (rounds === 0 || Date.now() < until) {
      const wrong = mistakes(await everything(hands, `${name}-${rounds}`));
      if (wrong.length > 0) throw new Error(`${name} (${mode}), round ${rounds}: ${wrong}`);
      rounds += 1;
      await rest(Math.min(options.pause, Math.max(0, (until - Date.now()) / 1000)));
    }
    await hands.close();
    return rounds;
  };
  const ended = await Promise.allSettled(Array.from({ length: options.clients }, (_, number) => one(number)));
  const rounds = ended.filter((it) => it.status === 'fulfilled').map((it) => it.value);
  const errors = ended.filter((it) => it.status === 'rejected').map(({ reason }) => `${reason.name}: ${reason.message}`);
  console.log(JSON.stringify({ rounds, errors }));
}

// What is not as it should be, without looking at what a reload changes.
function mistakes(seen) {
  const did = Object.fromEntries(Object.entries(seen).map(([key, it]) => [key, it.did]));
  const fine = {
    call: String(did.call.map((it) => it.is_error)) === 'false,true',
    read: did.read.length === 2,
    prompt: String(did.prompt) === 'Plan July.',
    complete: String(did.complete) === 'June,July',
    subscribe: did.subscribe === note,
    elicit: did.elicit.asked.length === 3 && !did.elicit.accepted.is_error && did.elicit.declined.is_error,
    cancel: did.cancel.ended.includes('closed'),
    // These SDKs drop progress that they read together with the result: they forget the call first.
    progress: did.progress.length >= 2,
  };
  return Object.keys(fine).filter((key) => !fine[key]);
}

// What one tool call gave.
export function call(name, result) {
  return {
    name,
    is_error: result.isError ?? false,
    content: result.content.map((block) => block.type),
    text: result.content.map((block) => block.text ?? '').join(''),
    structured: result.structuredContent ?? null,
  };
}

// What reading one resource gave.
export function reads({ contents }) {
  return contents.map(({ uri, mimeType = null, text = null, blob = null }) => ({ uri, mime_type: mimeType, text, blob }));
}

function parse(argv) {
  const parsed = { mode: 'auto', call: [], read: [], clients: 1, pause: 1, name: 'client' };
  const numbers = ['--soak', '--clients', '--pause'];
  while (argv.length > 0) {
    const [, name, value] = argv.shift().match(/^(--[a-z]+)(?:=(.*))?$/s) ?? [];
    const texts = ['--url', '--token', '--mode', '--everything', '--note', '--name'];
    if (texts.includes(name)) parsed[name.slice(2)] = value ?? argv.shift();
    else if (numbers.includes(name)) parsed[name.slice(2)] = Number(value ?? argv.shift());
    else if (name === '--call') parsed.call.push(argv.splice(0, 2));
    else if (name === '--read') parsed.read.push(argv.shift());
    else if (name === '--stdio') parsed.stdio = argv.splice(0);
    else throw new Error(`unknown argument ${name}`);
  }
  if (Boolean(parsed.url) === Boolean(parsed.stdio)) throw new Error('one of --url and --stdio is needed');
  return parsed;
}
