// Drives a real browser for a test: one JSON command on each line of standard input, one JSON answer on each
// line of standard output. Cookies last as long as the process. The first argument is the folder of node_modules.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const require = createRequire(`${process.argv[2]}/package.json`);
const { chromium } = require('playwright-core');
const LIMIT = 60_000;

const browser = await chromium.launch({
  executablePath: fileURLToPath(new URL('chromium', import.meta.url)),
  // What is local goes through the proxy too: the other side's loopback is meant.
  proxy: process.env.SOCKS && { server: process.env.SOCKS, bypass: '<-loopback>' },
  // Names that only this browser knows, as --host-resolver-rules has them.
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
    ...(process.env.RESOLVE ? [`--host-resolver-rules=${process.env.RESOLVE}`] : [])],
});
let page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
page.setDefaultTimeout(LIMIT);
// Browsers of several people, by name, each with its own cookies.
const people = new Map();

const commands = {
  // Where does one land who opens this?
  async open({ url }) {
    await page.goto(url, { waitUntil: 'domcontentloaded' });
    return { url: page.url() };
  },

  // Jupyter's own login form.
  async login({ url, password }) {
    await page.goto(url, { waitUntil: 'domcontentloaded' });
    await page.fill('input[name=password]', password);
    await Promise.all([page.waitForEvent('domcontentloaded'), page.click('#login_submit')]);
    const refused = await page.getByText('Invalid credentials').count();
    return { in: refused === 0 && !page.url().includes('/login'), url: page.url() };
  },

  // A new notebook, one cell, what it prints.
  async notebook({ url, code }) {
    await page.goto(`${url}/lab?reset`, { waitUntil: 'domcontentloaded' });
    await page.locator('.jp-LauncherCard[data-category="Notebook"]').first().click();
    const cell = page.locator('.jp-Notebook .jp-CodeCell .cm-content').first();
    await cell.click();
    await page.keyboard.type(code);
    // What is run before the kernel is there is dropped without a word.
    await page.getByText(/Python 3 .*\| Idle/).first().waitFor();
    // The kernel answers over the websocket.
    await page.keyboard.press('Shift+Enter');
    const output = page.locator('.jp-Notebook .jp-OutputArea-output').first();
    await output.waitFor();
    return { output: (await output.innerText()).trim() };
  },

  // A line typed in Jupyter's terminal.
  async jupyterTerminal({ url, line }) {
    await page.goto(`${url}/lab?reset`, { waitUntil: 'domcontentloaded' });
    await page.locator('.jp-LauncherCard', { hasText: 'Terminal' }).first().click();
    // Its shell has come so far as to name the tab.
    await page.locator('.lm-TabBar-tabLabel', { hasText: '@' }).first().waitFor();
    await page.locator('.jp-Terminal').first().click();
    await page.keyboard.type(`${line}\n`);
    return {};
  },

  // Somebody's browser, from now on; made with these settings when they come for the first time.
  async become({ who, locale = 'en-GB', script = true, width = 1280, dark = false, calm = false, trust = false }) {
    if (!people.has(who)) {
      const context = await browser.newContext({
        locale,
        javaScriptEnabled: script,
        viewport: { width, height: 900 },
        colorScheme: dark ? 'dark' : 'light',
        reducedMotion: calm ? 'reduce' : 'no-preference',
        ignoreHTTPSErrors: trust,
      });
      people.set(who, await context.newPage());
      people.get(who).setDefaultTimeout(LIMIT);
    }
    page = people.get(who);
    return {};
  },

  async fill({ fields }) {
    for (const [label, value] of Object.entries(fields)) await page.getByLabel(label, { exact: true }).fill(value);
    return {};
  },

  // A slot's card; the radio lies under its label.
  async choose({ slot }) {
    await page.locator(`input[name=slot][value="${slot}"]:enabled`).check({ force: true });
    return {};
  },

  // A button, a link or what opens something, by its words.
  async press({ words }) {
    const named = { name: words, exact: true };
    const found = page.getByRole('button', named).or(page.getByRole('link', named))
      .or(page.locator('summary', { hasText: words }));
    await found.first().click();
    return { url: page.url() };
  },

  // A form's own button, where its words are elsewhere too.
  async submit({ words }) {
    await page.locator('main').getByRole('button', { name: words, exact: true }).click();
    return { url: page.url() };
  },

  // By the keyboard alone: Tab until what says these words first has the focus, where it is to be seen; then this key, or text.
  async byKeyboard({ words, key, text }) {
    for (let tabs = 0; tabs < 60; tabs += 1) {
      await page.keyboard.press('Tab');
      const at = await page.evaluate(() => {
        const one = document.activeElement;
        const label = one.labels?.[0];
        // A radio lies under its label, which has the ring.
        const ring = one.type === 'radio' ? label : one;
        return {
          words: (one.getAttribute('aria-label') ?? label?.innerText ?? one.innerText).trim(),
          seen: getComputedStyle(ring).outlineStyle !== 'none' && ring.getBoundingClientRect().height > 0,
        };
      });
      if (at.words.startsWith(words)) {
        if (!at.seen) throw new Error(`${words} has the focus and does not show it`);
        if (text) await page.keyboard.type(text);
        if (key) await page.keyboard.press(key);
        return { tabs };
      }
    }
    throw new Error(`nothing that says ${words} gets the focus`);
  },

  async select({ label, value }) {
    await page.getByLabel(label, { exact: true }).selectOption(value);
    return {};
  },

  // What a program in the page would see: the value of an expression, or of its promise.
  async evaluate({ code }) {
    return { value: await page.evaluate(code) };
  },

  // Another cell in the notebook that is open, in the tab as it stands.
  async nextCell({ code, index }) {
    const cell = page.locator('.jp-Notebook .jp-CodeCell').nth(index);
    await cell.locator('.cm-content').click();
    await page.keyboard.type(code);
    await page.keyboard.press('Shift+Enter');
    const output = cell.locator('.jp-OutputArea-output').first();
    await output.waitFor();
    return { output: (await output.innerText()).trim() };
  },

  // By JupyterLab's own button, into the folder it shows.
  async upload({ path, name }) {
    const chosen = page.waitForEvent('filechooser');
    await page.locator('[data-command="filebrowser:upload"], [title^="Upload Files"]').first().click();
    await (await chosen).setFiles(path);
    // Large files are asked about first.
    const sure = page.locator('.jp-Dialog .jp-mod-accept');
    const there = page.locator('.jp-DirListing-item', { hasText: name }).first();
    await sure.or(there).first().waitFor();
    if (await sure.count()) await sure.click();
    await there.waitFor({ timeout: 300_000 });
    await page.locator('.jp-FileBrowser-uploadProgress, .jp-Statusbar-ProgressBar-progress-bar').first()
      .waitFor({ state: 'detached', timeout: 300_000 });
    return {};
  },

  async download({ url, path }) {
    const coming = page.waitForEvent('download', { timeout: 120_000 });
    // As JupyterLab's own menu does it; going there would ask first whether to leave what is open.
    await page.evaluate((href) => Object.assign(document.createElement('a'), { href, download: '' }).click(), url);
    await (await coming).saveAs(path);
    return {};
  },

  // What its button opens in a new tab, which is the page from now on.
  async pressForTab({ words, until }) {
    const opening = page.context().waitForEvent('page');
    await page.getByRole('button', { name: words, exact: true }).click();
    page = await opening;
    page.setDefaultTimeout(LIMIT);
    await page.waitForURL((url) => url.href.startsWith(until));
    return { url: page.url() };
  },

  async see({ words }) {
    await page.getByText(words).first().waitFor();
    return { url: page.url() };
  },

  async read({ selector }) {
    return { text: await page.locator(selector).first().innerText() };
  },

  async attribute({ selector, name }) {
    return { value: await page.locator(selector).first().getAttribute(name) };
  },

  async count({ selector }) {
    return { count: await page.locator(selector).count() };
  },

  // From the page's own origin, with its cookies.
  async request({ path, method = 'GET' }) {
    const status = await page.evaluate(async ([to, how]) => {
      const answer = await fetch(to, { method: how, redirect: 'manual' });
      return answer.status;
    }, [path, method]);
    return { status };
  },

  async cookies() {
    return { cookies: await page.context().cookies() };
  },

  // axe-core's verdict, WCAG 2.2 AA and its best practices.
  async inspect() {
    await page.evaluate(readFileSync(`${process.argv[2]}/node_modules/axe-core/axe.min.js`, 'utf8'));
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    return { violations: violations.map(({ id, nodes }) => ({ id, nodes: nodes.map(({ html, failureSummary }) => ({ html, failureSummary })) })) };
  },

  // Is anything wider than the screen?
  async overflow() {
    return { pixels: await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth) };
  },

  // What opening it costs, in bytes as they are sent, and when something is to be seen.
  async weigh({ url }) {
    const requests = [];
    const sizes = [];
    page.on('requestfinished', (request) => {
      requests.push(request.url());
      sizes.push(request.sizes().then((all) => all.responseBodySize + all.responseHeadersSize));
    });
    await page.goto(url, { waitUntil: 'load' });
    const paint = await page.evaluate(() => new Promise((resolve) => {
      new PerformanceObserver((list) => {
        const first = list.getEntriesByName('first-contentful-paint')[0];
        if (first) resolve(first.startTime);
      }).observe({ type: 'paint', buffered: true });
    }));
    const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
    page.removeAllListeners('requestfinished');
    return { requests, bytes, paint };
  },

  // All of the page, however long.
  async picture({ path }) {
    await page.screenshot({ path, fullPage: true });
    return {};
  },

  // A cell of a notebook in JupyterLab, where the page is there already.
  async cell({ code }) {
    // What was opened came by way of a page that passes on.
    await page.locator('#jp-main-dock-panel').waitFor();
    const url = new URL(page.url());
    return commands.notebook({ url: url.origin, code });
  },

  // VS Code's workbench on a folder: its explorer, and a line typed in its terminal.
  async workbench({ url, file, line }) {
    await page.goto(url, { waitUntil: 'domcontentloaded' });
    const trust = page.getByRole('button', { name: /Yes, I trust/ });
    await page.locator('.monaco-workbench .explorer-viewlet').waitFor();
    if (await trust.count()) await trust.click();
    await page.locator('.explorer-folders-view', { hasText: file }).waitFor();
    await page.keyboard.press('Control+Backquote');
    await page.locator('.terminal-wrapper .xterm').first().waitFor();
    await page.locator('.terminal-wrapper .xterm').first().click();
    await page.keyboard.type(`${line}\n`);
    return {};
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...given } = JSON.parse(line);
  let answer;
  try {
    answer = await commands[command](given);
  } catch (error) {
    const shown = await page.locator('body').innerText({ timeout: 2000 }).catch(() => '');
    answer = { error: String(error), url: page.url(), shown: shown.slice(0, 2000) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
