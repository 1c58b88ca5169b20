import { runDemo } from './main.js'
import { PassThrough } from 'node:stream'
const out = new PassThrough(); let last = process.cpuUsage(), t = performance.now()
out.on('data', (d) => { const s = String(d); if (!s.startsWith('✔')) return; const c = process.cpuUsage(last); last = process.cpuUsage(); const n = performance.now(); console.log(s.slice(0, 60).trim(), '| cpu ms', Math.round((c.user + c.system) / 1000), 'wall', Math.round(n - t)); t = n })
await runDemo({ signal: new AbortController().signal, out })
