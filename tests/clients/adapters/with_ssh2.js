// npm ssh2, which VSCodium's remote extension and many tools use. Speaks the language that adapter.py describes.
'use strict';
const fs = require('fs');
const net = require('net');
const { Client } = require('ssh2');

const ask = JSON.parse(process.argv[2]);
const conn = new Client();
const say = (line) => process.stdout.write(`${line}\n`);
// Not before all that was written has gone: a pipe takes only so much at once.
const leave = (code) => process.stdout.write('', () => process.stderr.write('', () => process.exit(code)));
const fail = (error) => {
  process.stderr.write(`${error && error.stack || error}\n`);
  process.exit(254);
};

function steer(stream) {
  const wanted = ['resize', 'signal', 'break'].some((word) => word in ask);
  let seen = '';
  let done = !wanted;
  return (data) => {
    if (done) return;
    seen += data;
    if (!seen.includes('ready')) return;
    done = true;
    if (ask.resize) stream.setWindow(ask.resize[1], ask.resize[0], 0, 0);
    else if (ask.signal) stream.signal(ask.signal);
  };
}

function session() {
  const options = { env: ask.env };
  if (ask.term) options.pty = { term: ask.term, cols: ask.columns, rows: ask.rows, modes: ask.named_modes };
  if (ask.agent) options.agentForward = true;
  if (ask.x11) options.x11 = { single: false, cookie: ask.cookie };
  const start = (error, stream) => {
    if (error) return fail(error);
    const look = steer(stream);
    let ended = null;
    stream.on('data', (data) => { process.stdout.write(data); look(data); });
    stream.stderr.on('data', (data) => process.stderr.write(data));
    stream.on('exit', (code, signal) => { ended = { code, signal }; if (ask.order) process.stderr.write('exit\n'); });
    stream.on('end', () => { if (ask.order) process.stderr.write('eof\n'); });
    stream.on('close', () => {
      if (ask.order) process.stderr.write('close\n');
      if (ended && ended.signal) process.stderr.write(`exit-signal ${ended.signal.replace(/^SIG/, '')}\n`);
      leave(ended && ended.code !== null ? ended.code : 255);
    });
    // Signals and sizes are not sent after our end of input: the caller's stdin is left alone then.
    if (!ask.resize && !ask.signal) process.stdin.pipe(stream);
  };
  if (ask.command !== undefined) conn.exec(ask.command, options, start);
  else conn.shell(options.pty || false, { env: ask.env }, start);
}

function join(a, b) {
  a.on('error', () => {});
  b.on('error', () => {});
  a.pipe(b);
  b.pipe(a);
}

function untilStdinEnds(onLine) {
  let rest = '';
  process.stdin.on('data', (data) => {
    rest += data;
    if (rest.includes('cancel')) { rest = ''; onLine(); }
  });
  process.stdin.on('end', () => process.exit(0));
}

function listen(where, open) {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    open((error, stream) => (error ? socket.destroy() : join(socket, stream)));
  });
  server.listen(where, () => say('ready'));
  untilStdinEnds(() => {});
}

function local() {
  listen({ host: '127.0.0.1', port: ask.listen }, (done) => conn.forwardOut('127.0.0.1', 1, ask.to_host, ask.to_port, done));
}

function unixLocal() {
  listen(ask.path_here, (done) => conn.openssh_forwardOutStreamLocal(ask.path_there, done));
}

function remote() {
  conn.on('tcp connection', (info, accept) => join(accept(), net.connect({ port: ask.to_port, host: '127.0.0.1', allowHalfOpen: true })));
  conn.forwardIn('127.0.0.1', ask.port_there, (error, port) => {
    if (error) return fail(error);
    say(`port ${port || ask.port_there}`);
    untilStdinEnds(() => conn.unforwardIn('127.0.0.1', port || ask.port_there, (e) => (e ? fail(e) : say('cancelled'))));
  });
}

function unixRemote() {
  conn.on('unix connection', (info, accept) => join(accept(), net.connect({ path: ask.path_here, allowHalfOpen: true })));
  conn.openssh_forwardInStreamLocal(ask.path_there, (error) => {
    if (error) return fail(error);
    say('ready');
    untilStdinEnds(() => conn.openssh_unforwardInStreamLocal(ask.path_there, (e) => (e ? fail(e) : say('cancelled'))));
  });
}

function jump() {
  conn.forwardOut('127.0.0.1', 1, ask.to_host, ask.to_port, (error, sock) => {
    if (error) return fail(error);
    const inner = new Client();
    inner.on('error', fail).on('ready', () => inner.exec(ask.command, (e, stream) => {
      if (e) return fail(e);
      let status = 255;
      stream.on('data', (data) => process.stdout.write(data));
      stream.on('exit', (code) => { status = code; });
      stream.on('close', () => leave(status));
    }));
    inner.connect({ ...login(), sock });
  });
}

function channels() {
  let started = 0;
  let done = 0;
  let good = 0;
  const next = () => {
    if (started === ask.count) return;
    started += 1;
    let bytes = 0;
    conn.exec(ask.command, (error, stream) => {
      if (error) return fail(error);
      let status = null;
      stream.on('data', (data) => { bytes += data.length; });
      stream.on('exit', (code) => { status = code; });
      stream.on('close', () => {
        done += 1;
        if (status === 0 && bytes) good += 1;
        if (done === ask.count) { say(good); leave(0); }
        next();
      });
    });
  };
  for (let n = 0; n < 50; n += 1) next();
}

const SFTP = {
  put: (f, from, to) => f.fastPut(from, to),
  get: (f, from, to) => f.fastGet(from, to),
  'resume-put': async (f, from, to) => {
    const have = (await f.stat(to)).size;
    await new Promise((ok, no) => fs.createReadStream(from, { start: have })
      .pipe(f.raw.createWriteStream(to, { flags: 'r+', start: have })).on('close', ok).on('error', no));
  },
  'resume-get': async (f, from, to) => {
    const have = fs.statSync(to).size;
    await new Promise((ok, no) => f.raw.createReadStream(from, { start: have })
      .pipe(fs.createWriteStream(to, { flags: 'a' })).on('close', ok).on('error', no));
  },
  mkdir: (f, path) => f.mkdir(path),
  rmdir: (f, path) => f.rmdir(path),
  remove: (f, path) => f.unlink(path),
  rename: (f, from, to) => f.rename(from, to),
  replace: (f, from, to) => f.ext_openssh_rename(from, to),
  symlink: (f, target, link) => f.symlink(target, link),
  readlink: async (f, path) => say(await f.readlink(path)),
  chmod: (f, mode, path) => f.chmod(path, parseInt(mode, 8)),
  times: (f, path, when) => f.utimes(path, Number(when), Number(when)),
  stat: async (f, path) => {
    const found = await f.lstat(path);
    say(`${(found.mode & 0o7777).toString(8)} ${found.size} ${found.mtime}`);
  },
  list: async (f, path) => say((await f.readdir(path)).filter((e) => e.filename !== '.' && e.filename !== '..').length),
  pwd: async (f) => say(await f.realpath('.')),
  statvfs: async (f, path) => say(`blocks ${(await f.ext_openssh_statvfs(path)).f_blocks}`),
  refused: async (f, word, ...args) => {
    try { await SFTP[word](f, ...args); } catch { return; }
    fail(`${word} ${args} was not refused`);
  },
};

function sftp() {
  conn.sftp(async (error, raw) => {
    if (error) return fail(error);
    const files = new Proxy({ raw }, {
      get: (target, name) => (name === 'raw' ? raw : (...args) => new Promise((ok, no) => raw[name](...args, (e, value) => (e ? no(e) : ok(value))))),
    });
    try {
      for (const [word, ...args] of ask.steps) await SFTP[word](files, ...args);
      leave(0);
    } catch (e) { fail(e); }
  });
}

function login() {
  const chosen = { host: ask.host, port: ask.port, username: ask.user, readyTimeout: 30000, strictVendor: true };
  if (ask.interactive) Object.assign(chosen, { tryKeyboard: true, authHandler: [{ type: 'keyboard-interactive', username: ask.user, prompt: (n, i, l, prompts, finish) => finish(prompts.map(() => ask.password)) }] });
  else if (ask.password) Object.assign(chosen, { password: ask.password });
  else chosen.privateKey = fs.readFileSync(ask.key);
  if (ask.agent) chosen.agent = process.env.SSH_AUTH_SOCK;
  if (ask.keepalive) chosen.keepaliveInterval = ask.keepalive * 1000;
  return chosen;
}

if (ask.x11) {
  conn.on('x11', (info, accept) => join(accept(), net.connect({ path: `/tmp/.X11-unix/X${ask.display}`, allowHalfOpen: true })));
}
const ways = { session, local, remote, jump, channels, sftp, 'unix-local': unixLocal, 'unix-remote': unixRemote };
conn.on('error', fail).on('ready', () => ways[ask.do]()).connect(login());
