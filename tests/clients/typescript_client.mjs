// Visits an MCP server with the official TypeScript SDK (`@modelcontextprotocol/client`), over Streamable HTTP or STDIO and in
// either protocol era. `everything.mjs` has the arguments.
import { createRequire } from 'node:module';
import { answerTo, call, main, options, reads } from './everything.mjs';

// The packages are installed beside this folder, where `import` does not look.
const require = createRequire(new URL('../tools/package.json', import.meta.url));
const { Client, StreamableHTTPClientTransport } = require('@modelcontextprotocol/client');
const { StdioClientTransport } = require('@modelcontextprotocol/client/stdio');

class Hands {
  asked = [];
  answer = 'accept';

  static async connected(mode) {
    const hands = new Hands();
    const versions = ['auto', 'legacy'].includes(mode) ? mode : { pin: mode };
    hands.client = new Client(
      { name: 'tollbridge-tests', version: '1.0.0' },
      { capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode: versions } },
    );
    hands.client.setRequestHandler('elicitation/create', async ({ params }) => answerTo(hands, params));
    hands.client.setNotificationHandler('notifications/resources/updated', ({ params }) => hands.updated?.(params.uri));
    await hands.client.connect(transport());
    return hands;
  }

  introduction() {
    return {
      protocol: this.client.getNegotiatedProtocolVersion() ?? null,
      server: this.client.getServerVersion()?.name ?? null,
      instructions: this.client.getInstructions() ?? null,
    };
  }

  async lists() {
    return {
      tools: (await this.client.listTools()).tools.map((tool) => tool.name),
      resources: (await this.client.listResources()).resources.map((resource) => resource.uri),
      templates: (await this.client.listResourceTemplates()).resourceTemplates.map((template) => template.uriTemplate),
      prompts: (await this.client.listPrompts()).prompts.map((prompt) => prompt.name),
    };
  }

  call = async (name, args, how) => call(name, await this.client.callTool({ name, arguments: args }, how));
  read = async (uri) => reads(await this.client.readResource({ uri }));
  prompt = async (name, args) =>
    (await this.client.getPrompt({ name, arguments: args })).messages.map((message) => message.content.text);
  complete = async (name, argument, value) =>
    (await this.client.complete({ ref: { type: 'ref/prompt', name }, argument: { name: argument, value } })).completion.values;

  async follow(uri, told) {
    this.updated = told;
    if (this.client.getNegotiatedProtocolVersion() >= '2026-07-28') {
      const subscription = await this.client.listen({ resourceSubscriptions: [uri] });
      return () => subscription.close();
    }
    await this.client.subscribeResource({ uri });
    return () => this.client.unsubscribeResource({ uri });
  }

  close = () => this.client.close();
}

function transport() {
  if (options.stdio) {
    const [command, ...args] = options.stdio;
    return new StdioClientTransport({ command, args, env: process.env });
  }
  const authProvider = options.token ? { token: async () => options.token } : undefined;
  return new StreamableHTTPClientTransport(new URL(options.url), { authProvider });
}

await main('typescript', Hands.connected);
