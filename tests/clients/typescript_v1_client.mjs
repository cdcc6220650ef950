// Visits an MCP server with version 1 of the official TypeScript SDK (`@modelcontextprotocol/sdk`), which most clients in the
// field are made with, over Streamable HTTP or STDIO. It knows only the older era. `everything.mjs` has the arguments.
import { createRequire } from 'node:module';
import { answerTo, call, main, options, reads } from './everything.mjs';

// The packages are installed beside this folder, where `import` does not look.
const require = createRequire(new URL('../tools/package.json', import.meta.url));
const { Client } = require('@modelcontextprotocol/sdk/client/index.js');
const { StreamableHTTPClientTransport } = require('@modelcontextprotocol/sdk/client/streamableHttp.js');
const { StdioClientTransport } = require('@modelcontextprotocol/sdk/client/stdio.js');
const { ElicitRequestSchema, ResourceUpdatedNotificationSchema } = require('@modelcontextprotocol/sdk/types.js');

class Hands {
  asked = [];
  answer = 'accept';

  static async connected() {
    const hands = new Hands();
    hands.client = new Client({ name: 'tollbridge-tests', version: '1.0.0' }, { capabilities: { elicitation: { form: {} } } });
    hands.client.setRequestHandler(ElicitRequestSchema, async ({ params }) => answerTo(hands, params));
    hands.client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => hands.updated?.(params.uri));
    hands.transport = transport();
    await hands.client.connect(hands.transport);
    return hands;
  }

  introduction() {
    return {
      // Over STDIO this SDK does not say what was agreed on.
      protocol: this.transport.protocolVersion ?? null,
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

  call = async (name, args, how) => call(name, await this.client.callTool({ name, arguments: args }, undefined, how));
  read = async (uri) => reads(await this.client.readResource({ uri }));
  prompt = async (name, args) =>
    (await this.client.getPrompt({ name, arguments: args })).messages.map((message) => message.content.text);
  complete = async (name, argument, value) =>
    (await this.client.complete({ ref: { type: 'ref/prompt', name }, argument: { name: argument, value } })).completion.values;

  async follow(uri, told) {
    this.updated = told;
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
  const headers = options.token ? { Authorization: `Bearer ${options.token}` } : {};
  return new StreamableHTTPClientTransport(new URL(options.url), { requestInit: { headers } });
}

await main('typescript-v1', Hands.connected);
