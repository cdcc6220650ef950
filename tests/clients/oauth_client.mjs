// The official TypeScript SDK without a token: it is told where to get one, signs a person in by authorization code + PKCE,
// calls a tool, and asks for more scopes when another tool needs them. Prints one line of JSON.
//
//   node oauth_client.mjs URL USER TOOL…
import { createRequire } from 'node:module';
import { answer } from './browser.mjs';

// The packages are installed beside this folder, where `import` does not look.
const require = createRequire(new URL('../tools/package.json', import.meta.url));
const { Client, StreamableHTTPClientTransport, UnauthorizedError } = require('@modelcontextprotocol/client');

const [url, user, ...tools] = process.argv.slice(2);
const redirect = 'http://127.0.0.1:39999/callback';
const seen = { resource: null, authorizations: [], calls: [], error: null };

class Person {
  redirectUrl = redirect;
  clientMetadata = { redirect_uris: [redirect], client_name: 'tollbridge-tests', token_endpoint_auth_method: 'none' };
  clientInformation = () => ({ client_id: 'cli' });
  tokens = () => this.current;
  saveTokens = (tokens) => { this.current = tokens; };
  saveCodeVerifier = (verifier) => { this.verifier = verifier; };
  codeVerifier = () => this.verifier;
  // The authorization server knows this API by an audience, as Okta does, and not by its address (RFC 8707).
  async validateResourceURL(_, resource) {
    seen.resource = resource;
    return undefined;
  }
  async redirectToAuthorization(address) {
    seen.authorizations.push({ scope: address.searchParams.get('scope'), method: address.searchParams.get('code_challenge_method') });
    this.returned = new URL(await answer(address, user, redirect));
  }
}

const person = new Person();

// Whenever a token is needed, the person signs in and the SDK trades the code.
async function authorized(action) {
  for (let round = 0; round < 3; round += 1) {
    try {
      return await action();
    } catch (error) {
      if (!(error instanceof UnauthorizedError) || !person.returned) throw error;
      await transport.finishAuth(person.returned.searchParams);
      person.returned = undefined;
    }
  }
  throw new Error('still unauthorized');
}

let transport;
try {
  const client = await authorized(async () => {
    transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: person });
    const client = new Client({ name: 'tollbridge-tests', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } });
    await client.connect(transport);
    return client;
  });
  for (const name of tools) {
    const result = await authorized(() => client.callTool({ name, arguments: {} }));
    seen.calls.push({ name, is_error: result.isError ?? false, text: result.content.map((block) => block.text ?? '').join('') });
  }
} catch (error) {
  seen.error = `${error.name}: ${error.message}`;
}
console.log(JSON.stringify(seen));
process.exit(seen.error ? 1 : 0);
