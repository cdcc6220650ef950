// What tests can ask of the identity provider, as JSON over HTTP:
//
//   POST /token {}  ->  {"token":"…"}
//        Every key is optional; these are the defaults:
//        {"kind":"access","user":"alice","audience":"api://enterprise","scope":"hr:read","ttl":600,"claims":{},"omit":[],"server":"default"}
//          kind      access (opaque) | jwt | refresh | id | client_credentials | dpop (also gives `jkt` and the private `key`)
//          ttl       seconds; -1 makes a token that has already expired
//          claims    added to, or put in place of, what the token and its introspection say
//          omit      names of claims taken away from them
//          server    default | org
//   POST /revoke {"token":"…"}  ->  {}
//        By the real revocation endpoint.
//   POST /mode {"introspection":"ok","answers":"okta"}  ->  {}
//          introspection   ok | 500 | 429 | html | redirect | hang | close | slow:MS
//          answers         okta: as Okta documents | plain: as oidc-provider answers, which refuses JWTs
//   GET /introspections  ->  {"count":1,"requests":[{"method","path","query","authorization","content_type","fields","token_type_hint"}]}
//   DELETE /introspections  ->  {}
import { json } from 'node:stream/consumers';
import { mint } from './mint.mjs';

export function control(servers, introspections) {
  const actions = {
    'POST /token': ({ server = 'default', ...wish }) => {
      if (!Object.hasOwn(servers, server)) throw new Error(`server is one of ${Object.keys(servers)}`);
      return mint(servers[server], introspections, wish);
    },
    'POST /revoke': ({ token }) => revoke(servers, token),
    'POST /mode': ({ introspection, answers }) => {
      if (introspection !== undefined) introspections.mode = introspection;
      if (answers !== undefined) introspections.answers = answers;
      return {};
    },
    'GET /introspections': () => introspections.seen,
    'DELETE /introspections': () => {
      introspections.forget();
      return {};
    },
  };

  return async (request, response) => {
    const action = actions[`${request.method} ${request.url}`];
    if (!action) return send(response, 404, { error: `one of ${Object.keys(actions).join(', ')}` });
    try {
      send(response, 200, await action(request.method === 'POST' ? await json(request) : {}));
    } catch (error) {
      send(response, 400, { error: error.message });
    }
  };
}

function send(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

// RFC 7009 says 200 for a token that a server does not know, so each is asked.
async function revoke(servers, token) {
  for (const { issuer, path } of Object.values(servers)) {
    const response = await fetch(`${issuer}${path}/v1/revoke`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa('bridge:bridge-secret')}` },
      body: new URLSearchParams({ token, token_type_hint: 'access_token' }),
    });
    if (!response.ok) throw new Error(`revocation answered ${response.status}`);
  }
  return {};
}
