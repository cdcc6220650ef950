// A real OAuth 2.0 / OpenID Connect provider (npm `oidc-provider`, OpenID certified) dressed as an Okta org, so that the
// tests check tokens against an implementation that is not ours.
//
//   <origin>/oauth2/default/…   the custom authorization server `default`
//   <origin>/oauth2/v1/…        the org authorization server
//
// Prints one line of JSON when it is ready and exits when stdin closes, so it can't outlive the test that started it:
//   {"origin":"http://127.0.0.1:1234","issuer":"http://127.0.0.1:1234/oauth2/default","control":"http://127.0.0.1:1235"}
//
// What tests ask of `control` is described in identity-provider/control.mjs.
import http from 'node:http';
import { authorizationServer, defaultAudience } from './identity-provider/authorization-server.mjs';
import { control } from './identity-provider/control.mjs';
import { Introspections } from './identity-provider/introspections.mjs';

const prefix = '/oauth2/default';
const metadata = '/.well-known/oauth-authorization-server';

// Stdout carries the one line of JSON; the provider's notices would break it.
console.info = console.error;

let answer;
const server = http.createServer((request, response) => answer(request, response));
// Longer than any test, so that no idle connection of the bridge's pool is closed under its next request.
server.keepAliveTimeout = 600_000;
const origin = await listen(server, process.env.PORT);
const issuer = origin + prefix;

const introspections = new Introspections();
const servers = {
  default: await authorizationServer({ issuer, audience: defaultAudience, introspections }),
  org: await authorizationServer({ issuer: origin, audience: origin, path: '/oauth2', customClaims: false, introspections }),
};
const callbacks = { default: servers.default.provider.callback(), org: servers.org.provider.callback() };

answer = (request, response) => {
  if (request.url === metadata + prefix) request.url = prefix + metadata; // RFC 8414 puts the issuer's path last
  if (request.url.startsWith(`${prefix}/`)) {
    request.originalUrl = request.url;
    request.url = request.url.slice(prefix.length);
    callbacks.default(request, response);
  } else {
    callbacks.org(request, response);
  }
};

const controlOrigin = await listen(http.createServer(control(servers, introspections)), process.env.CONTROL_PORT);
process.stdout.write(`${JSON.stringify({ origin, issuer, control: controlOrigin })}\n`);
process.stdin.resume().on('end', () => process.exit(0));

async function listen(listener, port) {
  await new Promise((resolve, reject) => {
    listener.once('error', reject).listen(Number(port ?? 0), '127.0.0.1', resolve);
  });
  return `http://127.0.0.1:${listener.address().port}`;
}
