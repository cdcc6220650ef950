// The REST API behind the conformance bridge: one answer of each kind that the scenarios of the MCP conformance suite ask for.
//
// Prints one line of JSON when it is ready and exits when stdin closes: {"origin":"http://127.0.0.1:1234"}
import { appendFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==';
const wav = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA=';

// Whoever calls these changes the bridge files, as an admin would.
let changes = 0;
const changed = (name, definition) => (_, response) => {
  changes += 1;
  appendFileSync(join(process.env.BRIDGES, `${name}.yaml`), definition(changes));
  response.writeHead(200, { 'content-type': 'application/json' }).end('{"changed":true}');
};

// Jobs: begun by POST, asked for by GET, and gone after DELETE.
const jobs = new Map();
const json = (response, status, body) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
const begin = (state) => (request, response) => {
  let text = '';
  request.on('data', (chunk) => (text += chunk)).on('end', () => {
    const { seconds = 1, label = 'job' } = JSON.parse(text || '{}');
    if (seconds <= 0) return json(response, 200, { state, label });
    const id = `${jobs.size + 1}`;
    jobs.set(id, { state, label, ends: Date.now() + seconds * 1000 });
    json(response, 202, { id });
  });
};
const job = (request, response) => {
  const id = request.url.slice('/jobs/'.length);
  const { state, label, ends } = jobs.get(id) ?? {};
  if (request.method === 'DELETE') return jobs.delete(id), response.writeHead(204).end();
  if (!state) return json(response, 404, { message: 'No such job' });
  json(response, 200, Date.now() < ends ? { state: 'running' } : { state, label, message: `This job has ${state}` });
};

const answers = {
  'GET /text': [200, 'text/plain', 'This is a simple text response for testing.'],
  'GET /image': [200, 'image/png', Buffer.from(png, 'base64')],
  'GET /audio': [200, 'audio/wav', Buffer.from(wav, 'base64')],
  'GET /file': [200, 'application/gzip', gzipSync('This is an embedded resource content.')],
  'GET /json': [200, 'application/json', '{"test":"data","value":123}'],
  'GET /error': [500, 'application/json', '{"message":"This tool intentionally returns an error for testing"}'],
  'POST /tools': changed('more-tools', (number) => `  more_${number}: { description: More., response: { text: more } }\n`),
  'POST /prompts': changed('more-prompts', (number) => `  more_${number}: { description: More., messages: [{ role: user, text: more }] }\n`),
  'POST /jobs': begin('finished'),
  'POST /jobs/failing': begin('failed'),
  'POST /echo': (request, response) => {
    response.writeHead(200, { 'content-type': request.headers['content-type'] ?? 'application/octet-stream' });
    request.pipe(response);
  },
};

const server = http.createServer((request, response) => {
  if (request.method !== 'POST' && request.url.startsWith('/jobs/')) return job(request, response);
  const answer = answers[`${request.method} ${request.url}`] ?? [404, 'application/json', '{"message":"No such thing"}'];
  if (typeof answer === 'function') return answer(request, response);
  const [status, type, body] = answer;
  response.writeHead(status, { 'content-type': type }).end(body);
});
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  process.stdout.write(`${JSON.stringify({ origin: `http://127.0.0.1:${server.address().port}` })}\n`);
});
process.stdin.resume().on('end', () => process.exit(0));
