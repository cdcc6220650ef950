// One authorization server: the provider with Okta's paths, claims and clients.
//
// Clients: `bridge`/`bridge-secret` may introspect and revoke; `svc`/`svc-secret` gets tokens by client_credentials, and
// exchanges those of users (RFC 8693) for any audience but `api://forbidden`; `cli` is
// public, for authorization code + PKCE and the device flow, with any loopback port in `http://127.0.0.1:PORT/callback`.
//
// Access tokens are opaque. For a JWT add `/jwt` to the audience in `resource`: `resource=api://enterprise/jwt` gives a JWT
// for `api://enterprise`.
import { exportJWK, generateKeyPair } from 'jose';
import { errors, Provider } from 'oidc-provider';
import { memory } from './memory.mjs';
import * as users from './users.mjs';

export const defaultAudience = 'api://enterprise';

const apiScopes = ['hr:read', 'hr:write', 'hr.read', 'hr.write', 'wfm:read'];
const apiScope = apiScopes.join(' ');
const deviceCode = 'urn:ietf:params:oauth:grant-type:device_code';
const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
const jwtSuffix = '/jwt';

export async function authorizationServer({ issuer, audience, introspections, path = '', customClaims = true }) {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
  // What a test wants changed in one token: { claims, omit } by token object, known before the token is saved.
  const changes = new WeakMap();

  const provider = new Provider(issuer, {
    adapter: memory(),
    jwks: { keys: [{ ...(await exportJWK(privateKey)), kid: 'key-1', alg: 'RS256', use: 'sig' }] },
    clients: clients(),
    routes: routes(path),
    scopes: ['openid', 'offline_access', ...apiScopes],
    claims: { openid: ['sub', 'email', 'name'] },
    conformIdTokenClaims: false,
    findAccount: (_, id) => users.exists(id) ? { accountId: id, claims: () => users.profile(id) } : undefined,
    pkce: { required: () => true },
    ttl: { AccessToken: 600, ClientCredentials: 600, IdToken: 600, RefreshToken: 3600, Grant: 3600, Session: 3600, Interaction: 600, DeviceCode: 600 },
    extraTokenClaims: (_, token) => ({
      cid: token.clientId,
      ...(token.accountId && users.identity(token.accountId)),
      ...(token.accountId && customClaims && users.customClaims(token.accountId)),
    }),
    formats: {
      customizers: {
        jwt: (_, token, jwt) => {
          jwt.payload = change(asOktaSigns(jwt.payload), changes.get(token));
        },
      },
    },
    features: {
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      dPoP: { enabled: true },
      introspection: { enabled: true, allowedPolicy: (_, client) => client.clientId === 'bridge' },
      revocation: { enabled: true, allowedPolicy: (_, client, token) => client.clientId === 'bridge' || client.clientId === token.clientId },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        useGrantedResource: () => true,
        getResourceServerInfo: (_, resource) => resource.endsWith(jwtSuffix)
          ? resourceServer(resource.slice(0, -jwtSuffix.length), 'jwt')
          : resourceServer(resource, 'opaque'),
      },
    },
  });
  exchangeTokens(provider);
  provider.on('server_error', (_, error) => console.error(error));

  const server = { issuer, audience, path, provider, publicKey, changes, customClaims };
  provider.use(introspections.middleware(server));
  return server;
}

// RFC 8693 as Okta's On-Behalf-Of has it: a user's token for another of the same user, for one audience.
function exchangeTokens(provider) {
  provider.registerGrantType(tokenExchange, async (ctx) => {
    const { client, params } = ctx.oidc;
    const subject = await provider.AccessToken.find(params.subject_token ?? '');
    if (!subject?.isValid) throw new errors.InvalidGrant('the subject token is not good');
    if (params.audience === 'api://forbidden') throw new errors.InvalidTarget('not for this audience');
    const grantId = await new provider.Grant({ accountId: subject.accountId, clientId: client.clientId }).save();
    const token = new provider.AccessToken({ accountId: subject.accountId, client, grantId, gty: 'token_exchange', scope: params.scope });
    token.resourceServer = new provider.ResourceServer(params.audience, resourceServer(params.audience, 'opaque'));
    ctx.body = {
      access_token: await token.save(),
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      token_type: 'Bearer',
      expires_in: token.expiration,
      scope: token.scope,
    };
  }, ['audience', 'scope', 'subject_token', 'subject_token_type']);
}

export function resourceServer(audience, format) {
  return { audience, scope: apiScope, accessTokenFormat: format, jwt: { sign: { alg: 'RS256' } } };
}

export function change(claims, wanted) {
  if (!wanted) return claims;
  const changed = { ...claims, ...wanted.claims };
  for (const name of wanted.omit) delete changed[name];
  return changed;
}

// The claims of an access token as Okta signs them: `scp` and `cid`, where oidc-provider follows RFC 9068.
function asOktaSigns({ scope, client_id, username, ...claims }) {
  return { ver: 1, ...claims, cid: client_id, scp: scope?.split(' ') };
}

function clients() {
  const native = { application_type: 'native', token_endpoint_auth_method: 'none' };
  return [
    { client_id: 'bridge', client_secret: 'bridge-secret', grant_types: [], redirect_uris: [], response_types: [] },
    { client_id: 'svc', client_secret: 'svc-secret', grant_types: ['client_credentials', tokenExchange], redirect_uris: [], response_types: [], scope: apiScope },
    {
      ...native,
      client_id: 'cli',
      grant_types: ['authorization_code', 'refresh_token', deviceCode],
      redirect_uris: ['http://127.0.0.1/callback', 'http://[::1]/callback', 'http://localhost/callback'],
      response_types: ['code'],
      scope: `openid offline_access ${apiScope}`,
    },
  ];
}

function routes(path) {
  return {
    authorization: `${path}/v1/authorize`,
    code_verification: `${path}/activate`,
    device_authorization: `${path}/v1/device/authorize`,
    end_session: `${path}/v1/logout`,
    introspection: `${path}/v1/introspect`,
    jwks: `${path}/v1/keys`,
    pushed_authorization_request: `${path}/v1/par`,
    revocation: `${path}/v1/revoke`,
    token: `${path}/v1/token`,
    userinfo: `${path}/v1/userinfo`,
  };
}
