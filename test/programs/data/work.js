// Work for the node case: prints what it found, the same on every run.
'use strict';

const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const { createHash, createCipheriv, createDecipheriv, pbkdf2Sync, generateKeyPairSync,
	sign, verify } = require('crypto');
const { execFile } = require('child_process');
const { pipeline, Readable, Transform } = require('stream');
const { promisify } = require('util');
const fs = require('fs');
const net = require('net');
const os = require('os');
const path = require('path');
const vm = require('vm');
const zlib = require('zlib');

const digest = (value) => createHash('sha256')
	.update(typeof value === 'string' || Buffer.isBuffer(value) ? value : JSON.stringify(value))
	.digest('hex').slice(0, 24);

function* numbers(seed) {
	for (;;) {
		seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
		yield seed >>> 8;
	}
}

function words(scale) {
	const random = numbers(11);
	const next = (below) => random.next().value % below;
	const counts = new Map();
	for (let i = 0; i < 200000 * scale; i++) {
		const key = `w${next(20000)}`;
		counts.set(key, (counts.get(key) ?? '') + String.fromCharCode(97 + next(26)));
	}
	const sorted = [...counts].sort((a, b) => b[1].length - a[1].length || (a[0] < b[0] ? -1 : 1));
	return digest(sorted);
}

function expressions(scale) {
	const text = Array.from({ length: 20000 * scale },
		(_, i) => `${'x'.repeat(i % 40)}-${i}@host${i % 97}.example`).join(' ');
	const hosts = {};
	for (const match of text.matchAll(/(x+)-\d+@(host\d+)/g))
		hosts[match[2]] = (hosts[match[2]] ?? 0) + match[1].length;
	return digest(hosts) + digest(text.replace(/(x+)-(\d+)/g, (_, x, n) => `${x.length}:${n}`));
}

function buffers(seed) {
	const random = numbers(seed);
	const live = [];
	const hash = createHash('sha1');
	for (let i = 0; i < 3000; i++) {
		const buffer = Buffer.alloc(random.next().value % 60000, i & 255);
		live.push(buffer);
		if (live.length > 100)
			hash.update(live.splice(random.next().value % live.length, 1)[0]);
	}
	return hash.digest('hex');
}

function work(seed) {
	const text = JSON.stringify(Array.from({ length: 20000 }, (_, i) => ({ i, s: `s${i * seed}` })));
	const packed = zlib.gzipSync(text, { level: 9 });
	const same = zlib.gunzipSync(packed).toString() === text;
	const table = JSON.parse(text).filter((entry) => entry.i % seed === 0);
	return { seed, same, buffers: buffers(seed), table: digest(table) };
}

function inWorkers(count, shared) {
	return Promise.all(Array.from({ length: count }, (_, n) => new Promise((resolve, reject) => {
		const worker = new Worker(__filename, { workerData: { seed: n + 1, shared } });
		let result;
		worker.on('message', (message) => { result = message; });
		worker.on('error', reject);
		worker.on('exit', (code) => code ? reject(new Error(`exit ${code}`)) : resolve(result));
	})));
}

async function streams(scale) {
	const hash = createHash('md5');
	const source = Readable.from((function* () {
		for (let i = 0; i < 3000 * scale; i++)
			yield Buffer.from(`line ${i} ${'z'.repeat(i % 500)}\n`);
	})());
	const upper = new Transform({
		transform(chunk, _, done) { done(null, chunk.toString().toUpperCase()); },
	});
	const sink = new Transform({ transform(chunk, _, done) { hash.update(chunk); done(); } });
	await promisify(pipeline)(source, upper, zlib.createBrotliCompress({
		params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 } }), zlib.createBrotliDecompress(), sink);
	return hash.digest('hex');
}

function crypto() {
	const key = pbkdf2Sync('secret', 'salt', 20000, 32, 'sha512');
	const text = Buffer.alloc(500000, 'text');
	const cipher = createCipheriv('aes-256-cbc', key, Buffer.alloc(16));
	const coded = Buffer.concat([cipher.update(text), cipher.final()]);
	const decipher = createDecipheriv('aes-256-cbc', key, Buffer.alloc(16));
	const same = Buffer.concat([decipher.update(coded), decipher.final()]).equals(text);
	const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
	const good = verify('sha256', text, publicKey, sign('sha256', text, privateKey));
	return `${digest(coded)} ${same} ${good}`;
}

async function sockets() {
	const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'n')), 's');
	const server = net.createServer((socket) => socket.pipe(socket));
	await new Promise((resolve) => server.listen(file, resolve));
	const echo = (n) => new Promise((resolve, reject) => {
		const socket = net.connect(file);
		const parts = [];
		socket.on('data', (data) => parts.push(data));
		socket.on('end', () => resolve(digest(Buffer.concat(parts))));
		socket.on('error', reject);
		socket.end(Buffer.alloc(200000, `echo ${n}`));
	});
	const answers = await Promise.all(Array.from({ length: 12 }, (_, n) => echo(n)));
	await new Promise((resolve) => server.close(resolve));
	return digest(answers);
}

function contexts() {
	const results = [];
	for (let i = 0; i < 20; i++)
		results.push(vm.runInNewContext('Array.from({ length: n }, (_, i) => i * i).join()', { n: i * 40 }));
	return digest(results);
}

function webAssembly() {
	// (func (param i32) (result i32) local.get 0 local.get 0 i32.mul), exported as "f"
	const bytes = Uint8Array.from([0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 127, 1, 127, 3, 2, 1,
		0, 7, 5, 1, 1, 102, 0, 0, 10, 9, 1, 7, 0, 32, 0, 32, 0, 108, 11]);
	const { f } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
	return Array.from({ length: 10 }, (_, i) => f(i * 1000)).join();
}

async function main() {
	const scale = Number(process.argv[2] ?? 1);
	const shared = new SharedArrayBuffer(8);
	console.log('words', words(scale));
	console.log('expressions', expressions(scale));
	console.log('buffers', buffers(99));
	for (const result of await inWorkers(6, shared))
		console.log('worker', JSON.stringify(result));
	console.log('shared', Atomics.load(new Int32Array(shared), 0));
	console.log('streams', await streams(scale));
	console.log('crypto', crypto());
	console.log('sockets', await sockets());
	console.log('contexts', contexts());
	console.log('wasm', webAssembly());
	const { stdout } = await promisify(execFile)(process.execPath,
		['-p', '"child".repeat(3)']);
	console.log('child', stdout.trim());
}

if (isMainThread) {
	main().catch((error) => { console.error(error); process.exit(1); });
} else {
	const counter = new Int32Array(workerData.shared);
	for (let i = 0; i < 1000; i++)
		Atomics.add(counter, 0, 1);
	parentPort.postMessage(work(workerData.seed));
}
