// What happens at the introspection endpoints: every request is noted, the answer is what Okta documents, and tests can make
// the endpoint misbehave.
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { errors, jwtVerify } from 'jose';
import { change } from './authorization-server.mjs';
import * as users from './users.mjs';

const trouble = {
  500: (ctx) => answer(ctx, 500, { errorCode: 'E0000009', errorSummary: 'Internal Server Error' }),
  429: (ctx) => {
    ctx.set({ 'X-Rate-Limit-Limit': '600', 'X-Rate-Limit-Remaining': '0', 'X-Rate-Limit-Reset': String(Math.ceil(Date.now() / 1000) + 2) });
    answer(ctx, 429, { errorCode: 'E0000047', errorSummary: 'You exceeded the maximum number of requests. Try again in a while.' });
  },
  html: (ctx) => {
    ctx.type = 'html';
    answer(ctx, 200, '<!doctype html><title>Sign in</title><p>Sign in to the network.</p>');
  },
  redirect: (ctx) => {
    ctx.set('Location', '?followed'); // Whoever follows is seen again, with this in its query.
    answer(ctx, 307, '');
  },
  hang: (ctx) => {
    ctx.respond = false; // The connection stays open until the client gives up.
  },
  close: (ctx) => {
    ctx.respond = false;
    ctx.req.socket.destroy();
  },
};

export class Introspections {
  #requests = [];
  #misbehave = () => {};
  #asOkta = true;
  #changes = new Map();
  #revoked = new Set();

  get seen() {
    return { count: this.#requests.length, requests: this.#requests };
  }

  forget() {
    this.#requests = [];
  }

  // `ok`, `slow:MS` or a name in `trouble`.
  set mode(mode) {
    const milliseconds = /^slow:(\d+)$/.exec(mode)?.[1];
    if (milliseconds) this.#misbehave = () => sleep(Number(milliseconds));
    else if (mode === 'ok') this.#misbehave = () => {};
    else if (Object.hasOwn(trouble, mode)) this.#misbehave = trouble[mode];
    else throw new Error(`introspection is \`ok\`, \`slow:MS\` or one of ${Object.keys(trouble)}`);
  }

  // `okta`: what Okta documents. `plain`: what oidc-provider says by itself.
  set answers(style) {
    if (style !== 'okta' && style !== 'plain') throw new Error('answers is `okta` or `plain`');
    this.#asOkta = style === 'okta';
  }

  // Changes what is said about one token.
  change(token, wanted) {
    this.#changes.set(token, wanted);
  }

  middleware(server) {
    return async (ctx, next) => {
      await next();
      if (ctx.oidc?.route === 'revocation' && this.#asOkta && refusesJwt(ctx)) {
        this.#revoked.add(ctx.oidc.params.token);
        answer(ctx, 200, '');
      }
      if (ctx.oidc?.route !== 'introspection') return;

      this.#requests.push(note(ctx));
      if (this.#asOkta) await this.#answerAsOkta(ctx, server);
      if (ctx.body.active) ctx.body = change(ctx.body, this.#changes.get(ctx.oidc.params.token));
      await this.#misbehave(ctx);
    };
  }

  async #answerAsOkta(ctx, server) {
    const { entities, params } = ctx.oidc;
    if (refusesJwt(ctx)) {
      // Okta introspects JWTs, ID tokens among them; the provider refuses to, after it has authenticated the client.
      answer(ctx, 200, this.#revoked.has(params.token) ? { active: false } : await introspectJwt(params.token, server));
    } else if (!ctx.body.active) {
      return;
    } else if (entities.RefreshToken) {
      const { scope, client_id, exp, sub } = ctx.body;
      ctx.body = { active: true, token_type: 'Bearer', scope, client_id, username: users.login(sub), exp, sub };
    } else {
      const jti = `AT.${createHash('sha256').update(params.token).digest('base64url')}`;
      ctx.body = { ...ctx.body, sub: ctx.body.sub ?? ctx.body.client_id, jti };
    }
  }
}

function refusesJwt(ctx) {
  return ctx.body?.error === 'unsupported_token_type';
}

async function introspectJwt(token, server) {
  try {
    const { payload, protectedHeader } = await jwtVerify(token, server.publicKey, { issuer: server.issuer });
    const { ver, scp, ...claims } = payload;
    const client_id = protectedHeader.typ === 'at+jwt' ? claims.cid : claims.aud;
    const username = users.exists(claims.sub) ? users.login(claims.sub) : undefined;
    return { active: true, token_type: 'Bearer', scope: scp?.join(' '), client_id, username, ...claims };
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error;
    return { active: false };
  }
}

// What a test may know of a request: never the token or a secret.
function note(ctx) {
  const { pathname, searchParams } = new URL(ctx.req.originalUrl ?? ctx.req.url, ctx.href);
  return {
    method: ctx.method,
    path: pathname,
    query: [...searchParams.keys()],
    authorization: ctx.get('authorization').split(' ')[0] || null,
    content_type: ctx.get('content-type') || null,
    fields: Object.keys(ctx.oidc.body ?? {}),
    token_type_hint: ctx.oidc.body?.token_type_hint ?? null,
  };
}

function answer(ctx, status, body) {
  ctx.status = status;
  ctx.body = body;
}
