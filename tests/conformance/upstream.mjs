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

const answers = {
  'GET /text': [200, 'text/plain', 'This is a simple text response for testing.'],
  'GET /image': [200, 'image/png', Buffer.from(png, 'base64')],
  'GET /audio': [200, 'audio/wav', Buffer.from(wav, 'base64')],
  'GET /file': [200, 'application/gzip', gzipSync('This is an embedded resource content.')],
  'GET /json': [200, 'application/json', '{"test":"data","value":123}'],
  'GET /error': [500, 'application/json', '{"message":"This tool intentionally returns an error for testing"}'],
  'POST /tools': changed('more-tools', (number) => `  more_${number}: { description: More., response: { text: more } }\n`),
  'POST /prompts': changed('more-prompts', (number) => `  more_${number}: { description: More., messages: [{ role: user, text: more }] }\n`),
  'POST /echo': (request, response) => {
    response.writeHead(200, { 'content-type': request.headers['content-type'] ?? 'application/octet-stream' });
    request.pipe(response);
  },
};

const server = http.createServer((request, response) => {
  const answer = answers[`${request.method} ${request.url}`] ?? [404, 'application/json', '{"message":"No such thing"}'];
  if (typeof answer === 'function') return answer(request, response);
  const [status, type, body] = answer;
  response.writeHead(status, { 'content-type': type }).end(body);
});
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  process.stdout.write(`${JSON.stringify({ origin: `http://127.0.0.1:${server.address().port}` })}\n`);
});
process.stdin.resume().on('end', () => process.exit(0));
