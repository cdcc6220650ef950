// The admin page in a real browser: everything a person does with it, while the bridge files change on disk.
//
//   CHROMIUM=/usr/bin/chromium node page.mjs URL BRIDGE_FILE FOLDER_FOR_SCREENSHOTS
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const require = createRequire(new URL('../tools/package.json', import.meta.url));
const { chromium } = require('playwright-core');

const [url, file, shots] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] });
try {
  const context = await browser.newContext({ viewport: { width: 1200, height: 800 }, colorScheme: 'light' });
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  const elsewhere = [];
  page.on('request', (request) => request.url().startsWith(url) || elsewhere.push(request.url()));

  const answer = await page.goto(url);
  assert.match(answer.headers()['content-security-policy'], /^default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'; connect-src 'self'/);
  const row = page.locator('tr[data-tool=get_schedule]');
  await row.waitFor();
  assert.match(await row.innerText(), /Reads your schedule/);
  assert.equal(await row.locator('.caller').innerText(), 'gpid ← gpid');
  assert.deepEqual(await row.locator('.model').allInnerTexts(), ['start']);
  assert.match(await row.innerText(), /scope hr:read/);
  assert.match(await row.innerText(), /test\.yaml:\d+:3/);
  await page.screenshot({ path: join(shots, 'catalogue.png') });

  // Text of a bridge file is text, whatever it looks like.
  assert.equal(await page.locator('img').count(), 0);
  assert.match(await page.locator('tr[data-tool=plain]').innerText(), /<img src=x onerror=alert\(1\)>/);

  // An admin edits the file: the row changes by itself.
  await page.evaluate(() => { window.stayed = true; });
  const before = readFileSync(file, 'utf8');
  writeFileSync(file, before.replace('Reads your schedule', 'Shows when you work'));
  await page.locator('tr[data-tool=get_schedule]', { hasText: 'Shows when you work' }).waitFor();

  // And breaks it: the refusal is there, with the line and the caret, and the row stays.
  writeFileSync(file, before.replace('description: Reads', 'desciption: Reads'));
  const alert = page.locator('#alert');
  await alert.waitFor({ state: 'visible' });
  const said = await alert.innerText();
  assert.match(said, /refused/);
  assert.match(said, /test\.yaml:\d+:\d+/);
  assert.match(said, /\^\^\^\^/);
  assert.match(said, /did you mean `description`/);
  assert.match(await row.innerText(), /Shows when you work/);
  await page.screenshot({ path: join(shots, 'refused.png') });

  await page.click('nav a[href="#reloads"]');
  const events = page.locator('#events li');
  assert.deepEqual((await events.locator('strong').allInnerTexts()), ['refused', 'accepted', 'started']);
  assert.match(await events.nth(1).innerText(), /description: Reads your schedule\. → Shows when you work\./);
  await page.screenshot({ path: join(shots, 'reloads.png') });
  writeFileSync(file, before.replace('Reads your schedule', 'Shows when you work') + '\n');
  await alert.waitFor({ state: 'hidden' });
  assert.equal(await page.evaluate(() => window.stayed), true);

  // What would be sent is shown, and nothing is sent.
  await page.click('nav a[href="#explain"]');
  await page.getByLabel('Tool').selectOption('get_schedule');
  await page.getByLabel('start (required)').fill('2026-01-05');
  await page.getByLabel(/token says/).fill('{"gpid": "12345", "scp": ["hr:read"]}');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.locator('#answer pre').waitFor();
  assert.match(await page.locator('#answer pre').innerText(), /^GET \$\{API\}\/schedules\?gpid=12345&start=2026-01-05/);
  await page.screenshot({ path: join(shots, 'explain.png') });
  await page.getByLabel('start (required)').fill('');
  await page.getByRole('button', { name: 'Explain' }).click();
  await page.locator('#answer', { hasText: 'Refused' }).waitFor();

  await page.click('nav a[href="#calls"]');
  await page.locator('#latest td', { hasText: 'plain' }).first().waitFor();
  await page.click('nav a[href="#identity"]');
  await page.locator('#issuers', { hasText: 'everybody may call' }).waitFor();
  await page.click('nav a[href="#metrics"]');
  await page.locator('#charts svg').nth(3).waitFor();

  // By keyboard alone: from the top, the first stop leads past the navigation.
  await page.goto(url);
  await row.waitFor();
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.locator('#view-explain').waitFor({ state: 'visible' });
  assert.equal(await page.locator('nav a[aria-current=page]').innerText(), 'Explain');

  // Every field has a name, and text can be read on its background (WCAG 2.2, 1.4.3), by day and by night, also on a phone.
  for (const colorScheme of ['light', 'dark']) {
    for (const width of [1200, 360]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 760 });
      await page.goto(`${url}#catalogue`);
      await row.waitFor();
      await page.screenshot({ path: join(shots, `${colorScheme}-${width}.png`) });
      const found = await page.evaluate(() => {
        const unnamed = [...document.querySelectorAll('input, select, textarea')]
          .filter((field) => !field.labels.length && !field.ariaLabel).map((field) => field.outerHTML);
        const numbers = (color) => color.match(/[\d.]+/g).map(Number);
        const light = (color) => {
          const [r, g, b] = numbers(color).slice(0, 3).map((part) => part / 255)
            .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const behind = (node) => {
          for (let at = node; at; at = at.parentElement) {
            const color = getComputedStyle(at).backgroundColor;
            if ((numbers(color)[3] ?? 1) === 1) return color;
          }
          return 'rgb(255, 255, 255)';
        };
        const faint = [...document.querySelectorAll('body *')]
          .filter((node) => node.checkVisibility() && [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()))
          .filter((node) => {
            const [a, b] = [light(getComputedStyle(node).color), light(behind(node))].sort((x, y) => y - x);
            return (a + 0.05) / (b + 0.05) < 4.5;
          }).map((node) => node.outerHTML.slice(0, 120));
        return { unnamed, faint, wide: document.documentElement.scrollWidth - innerWidth };
      });
      assert.deepEqual([found.unnamed, found.faint], [[], []], `${colorScheme} ${width}`);
      assert.ok(found.wide <= 0, `${width}: wider than the window by ${found.wide}`);
    }
  }
  assert.deepEqual([complaints, elsewhere], [[], []]);
  console.log('fine');
} finally {
  await browser.close();
}
