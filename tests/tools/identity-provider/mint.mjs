// Makes real tokens with the provider's own models, one call each, where a sign-in would take a browser.
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import { change, resourceServer } from './authorization-server.mjs';
import * as users from './users.mjs';

const kinds = { access, jwt, refresh, id, client_credentials: clientCredentials, dpop };

export async function mint(server, introspections, wish) {
  const { kind = 'access', user = 'alice', audience = server.audience, scope = 'hr:read', ttl = 600, claims = {}, omit = [] } = wish;
  if (!Object.hasOwn(kinds, kind)) throw new Error(`kind is one of ${Object.keys(kinds)}`);
  if (!users.exists(user)) throw new Error(`no user ${user}`);
  if (!Number.isInteger(ttl) || ttl === 0) throw new Error('ttl is a number of seconds; a negative one makes a token that has expired');

  const wanted = { claims, omit };
  const minted = await kinds[kind](server, { user, audience, scope, ttl, wanted });
  introspections.change(minted.token, wanted);
  return minted;
}

async function access(server, { user, audience, scope, ttl, wanted, format = 'opaque', jkt }) {
  const { provider, changes } = server;
  const client = await provider.Client.find('cli');
  const { AccessToken } = provider;
  const token = new AccessToken({ accountId: user, client, expiresIn: ttl, grantId: await grant(server, client, user), gty: 'authorization_code', scope });
  token.resourceServer = new provider.ResourceServer(audience, resourceServer(audience, format));
  if (jkt) token.setThumbprint('jkt', jkt);
  changes.set(token, wanted);
  return { token: await token.save() };
}

function jwt(server, wish) {
  return access(server, { ...wish, format: 'jwt' });
}

// An access token bound to a key; the private key is in the answer, for proofs.
async function dpop(server, wish) {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const jkt = await calculateJwkThumbprint(await exportJWK(publicKey));
  return { ...(await access(server, { ...wish, jkt })), jkt, key: await exportJWK(privateKey) };
}

async function refresh(server, { user, audience, scope, ttl }) {
  const { provider } = server;
  const client = await provider.Client.find('cli');
  const token = new provider.RefreshToken({
    accountId: user,
    client,
    expiresIn: ttl,
    grantId: await grant(server, client, user),
    gty: 'authorization_code',
    resource: audience,
    scope: `openid offline_access ${scope}`,
  });
  return { token: await token.save() };
}

async function id(server, { user, ttl, wanted }) {
  const { provider, customClaims } = server;
  const client = await provider.Client.find('cli');
  const claims = { ...users.profile(user), ...(customClaims && users.customClaims(user)) };
  const token = new provider.IdToken({ sub: user }, { client });
  token.scope = 'openid';
  token.extra = change({ ver: 1, jti: `ID.${crypto.randomUUID()}`, ...claims }, wanted);
  return { token: await token.issue({ use: 'idtoken', expiresAt: Math.floor(Date.now() / 1000) + ttl }) };
}

async function clientCredentials({ provider, changes }, { audience, scope, ttl, wanted }) {
  const token = new provider.ClientCredentials({ client: await provider.Client.find('svc'), expiresIn: ttl, scope });
  token.resourceServer = new provider.ResourceServer(audience, resourceServer(audience, 'opaque'));
  changes.set(token, wanted);
  return { token: await token.save() };
}

// A token is only as good as the user's grant to the client.
async function grant({ provider }, client, user) {
  return new provider.Grant({ accountId: user, clientId: client.clientId }).save();
}
