// Visits an MCP server with the official TypeScript SDK (`@modelcontextprotocol/client`), over Streamable HTTP or STDIO and in
// either protocol era, and prints one line of JSON that says what it saw: the same as the Python clients print.
//
//   (--url URL [--token T] | --stdio COMMAND ARG…) [--mode auto|legacy|2026-07-28] [--call TOOL JSON]… [--read URI]…
//
// `--stdio` comes last.
import { createRequire } from 'node:module';

// The packages are installed beside this folder, where `import` does not look.
const require = createRequire(new URL('../tools/package.json', import.meta.url));
const { Client, StreamableHTTPClientTransport } = require('@modelcontextprotocol/client');
const { StdioClientTransport } = require('@modelcontextprotocol/client/stdio');

const options = parse(process.argv.slice(2));
const seen = {
  client: 'typescript',
  protocol: null,
  server: null,
  instructions: null,
  tools: [],
  resources: [],
  templates: [],
  calls: [],
  reads: [],
  error: null,
};

try {
  await visit();
} catch (error) {
  seen.error = `${error.name}: ${error.message}`;
}
console.log(JSON.stringify(seen));
process.exit(seen.error ? 1 : 0);

async function visit() {
  const client = new Client({ name: 'tollbridge-tests', version: '1.0.0' }, { versionNegotiation: { mode: negotiation() } });
  await client.connect(transport());
  seen.protocol = client.getNegotiatedProtocolVersion() ?? null;
  seen.server = client.getServerVersion()?.name ?? null;
  seen.instructions = client.getInstructions() ?? null;
  seen.tools = (await client.listTools()).tools.map((tool) => tool.name);
  seen.resources = (await client.listResources()).resources.map((resource) => resource.uri);
  seen.templates = (await client.listResourceTemplates()).resourceTemplates.map((template) => template.uriTemplate);
  for (const [name, json] of options.call) {
    seen.calls.push(call(name, await client.callTool({ name, arguments: JSON.parse(json) })));
  }
  for (const uri of options.read) {
    seen.reads.push(...(await client.readResource({ uri })).contents.map(read));
  }
  await client.close();
}

function transport() {
  if (options.stdio) {
    const [command, ...args] = options.stdio;
    return new StdioClientTransport({ command, args, env: process.env });
  }
  const authProvider = options.token ? { token: async () => options.token } : undefined;
  return new StreamableHTTPClientTransport(new URL(options.url), { authProvider });
}

function negotiation() {
  return ['auto', 'legacy'].includes(options.mode) ? options.mode : { pin: options.mode };
}

function call(name, result) {
  return {
    name,
    is_error: result.isError ?? false,
    content: result.content.map((block) => block.type),
    text: result.content.map((block) => block.text ?? '').join(''),
    structured: result.structuredContent ?? null,
  };
}

function read({ uri, mimeType = null, text = null, blob = null }) {
  return { uri, mime_type: mimeType, text, blob };
}

function parse(argv) {
  const parsed = { mode: 'auto', call: [], read: [] };
  while (argv.length > 0) {
    const [, name, value] = argv.shift().match(/^(--[a-z]+)(?:=(.*))?$/s) ?? [];
    if (['--url', '--token', '--mode'].includes(name)) parsed[name.slice(2)] = value ?? argv.shift();
    else if (name === '--call') parsed.call.push(argv.splice(0, 2));
    else if (name === '--read') parsed.read.push(argv.shift());
    else if (name === '--stdio') parsed.stdio = argv.splice(0);
    else throw new Error(`unknown argument ${name}`);
  }
  if (Boolean(parsed.url) === Boolean(parsed.stdio)) throw new Error('one of --url and --stdio is needed');
  return parsed;
}
