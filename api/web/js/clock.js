// The time as the server has it: a sale opens by its clock, not by the phone's.
import { ref } from '../vendor/vue.runtime.esm-browser.prod.js'

let offset = 0 // ms to add to this machine's clock
export const now = ref(Date.now())

// heard takes a Date header. It has whole seconds and travelled a while, so only a real difference counts.
export function heard(date) {
  const server = Date.parse(date)
  if (Number.isNaN(server)) return
  const difference = server + 500 - Date.now()
  offset = Math.abs(difference) > 2_000 ? difference : 0
}

export function tick() {
  now.value = Date.now() + offset
}

const pad = (n) => String(n).padStart(2, '0')

// span cuts milliseconds into what a countdown shows; what is left of a second counts as one.
export function span(ms) {
  const s = Math.max(0, Math.ceil(ms / 1000))
  return {
    days: Math.floor(s / 86_400),
    clock: `${pad(Math.floor(s / 3600) % 24)}:${pad(Math.floor(s / 60) % 60)}:${pad(s % 60)}`,
  }
}

export function timeOfDay(ms) {
  const d = new Date(ms)
  return `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`
}

export function stamp(iso) {
  const d = new Date(iso)
  if (Number.isNaN(d.getTime())) return ''
  return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())} ${timeOfDay(d.getTime())}`
}

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms))
