// A person at a browser, for oidc-provider's own pages: signs in, agrees, and confirms a device.
//
//   node browser.mjs URL [USER]
//
// Goes wherever the pages lead, callbacks on this machine included, and prints the address and the text of the last one.
// `answer` gives the address that the authorization server sends the browser back to, without going there.
import { fileURLToPath } from 'node:url';

export async function answer(url, user, redirect) {
  const browser = new Browser(user);
  return browser.visit(url, (address) => address.startsWith(redirect));
}

class Browser {
  #cookies = new Map();

  constructor(user) {
    this.user = user;
  }

  // Follows redirects and fills in forms until `isEnd`, or until a page has no form. Gives the address.
  async visit(url, isEnd = () => false) {
    let address = new URL(url).href;
    let response = await this.#fetch(address);
    for (let step = 0; step < 30; step += 1) {
      if (response.status >= 300 && response.status < 400) {
        address = new URL(response.headers.get('location'), address).href;
        if (isEnd(address)) return address;
        response = await this.#fetch(address);
        continue;
      }
      this.page = await response.text();
      const action = /<form[^>]*action="([^"]+)"/.exec(this.page)?.[1];
      if (!action || /Success/.test(this.page)) return address;
      address = new URL(action, address).href;
      response = await this.#fetch(address, { method: 'POST', body: new URLSearchParams(this.#fields()) });
    }
    throw new Error(`no end at ${address}`);
  }

  #fields() {
    const hidden = [...this.page.matchAll(/<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"/g)].map(([, name, value]) => [name, value]);
    const login = this.page.includes('name="login"') ? [['login', this.user], ['password', 'any']] : [];
    return [...hidden, ...login];
  }

  async #fetch(url, options = {}) {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, { ...options, headers: { cookie }, redirect: 'manual' });
    for (const set of response.headers.getSetCookie()) {
      const [pair] = set.split(';');
      const at = pair.indexOf('=');
      this.#cookies.set(pair.slice(0, at), pair.slice(at + 1));
    }
    return response;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [url, user = 'alice'] = process.argv.slice(2);
  const browser = new Browser(user);
  console.log(await browser.visit(url));
  console.log(browser.page);
}
