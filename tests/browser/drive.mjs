// Drives a real browser for a test: one JSON command on each line of standard input, one JSON answer on each
// line of standard output. Cookies last as long as the process. The first argument is the folder of node_modules.
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';

const require = createRequire(`${process.argv[2]}/package.json`);
const { chromium } = require('playwright-core');
const LIMIT = 60_000;
const BROWSERS = ['/usr/bin/chromium', '/usr/bin/google-chrome'];

const browser = await chromium.launch({
  executablePath: BROWSERS.find((path) => existsSync(path)),
  // What is local goes through the proxy too: the other side's loopback is meant.
  proxy: process.env.SOCKS && { server: process.env.SOCKS, bypass: '<-loopback>' },
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
});
const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
page.setDefaultTimeout(LIMIT);

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
