// The line: pressing 秒杀 posts once and gets a ticket (a task id); the ticket is polled until it says won or lost.
import { reactive } from '../vendor/vue.runtime.esm-browser.prod.js'
import { call, OK, REFUSED, sentence, UNFINISHED } from './api.js'
import { sleep } from './clock.js'
import { expired, askLogin, onLogout, session } from './session.js'
import { refresh, shop } from './shop.js'
import { load, save } from './store.js'
import { t } from './i18n.js'

const patience = 90_000 // ms of polling before the user is asked whether to go on
const firstDelay = 300
const maxDelay = 4_000
const keptFor = 30 * 60_000 // a ticket older than this is not picked up again after a reload

// queue.tickets has, by goods id, {phase, note, taskId, order, since}. phase:
//   asking   the request is on its way
//   queued   the server took it; polled
//   stalled  polled for too long; waits for the user
//   won, lost, broken (the request itself failed)
// queue.toast tells of a result whose ticket is not on the screen.
export const queue = reactive({ tickets: {}, shown: null, toast: '' })

export const waiting = (ticket) => ticket?.phase === 'asking' || ticket?.phase === 'queued'

export async function press(goods) {
  if (!session.token) {
    askLogin('login.first', () => press(goods))
    return
  }
  const known = queue.tickets[goods.id]
  queue.shown = goods.id
  if (waiting(known) || known?.phase === 'won') return
  const ticket = open(goods.id, { phase: 'asking', since: Date.now() })
  try {
    const answer = await call('/v1/seckill', { method: 'POST', body: { goods_id: goods.id }, token: session.token })
    if (!current(ticket)) return
    if (!answer.task_id) {
      settle(ticket, 'lost', reason(answer))
      return
    }
    ticket.taskId = answer.task_id
    ticket.phase = 'queued'
    remember()
    await follow(ticket)
  } catch (error) {
    if (!current(ticket)) return
    if (error.status === 401) {
      queue.shown = null
      expired(() => press(goods))
      return
    }
    settle(ticket, 'broken', error.retryAfter ? `${error.message} · ${t('err.busy', { n: error.retryAfter })}` : error.message)
  }
}

// resume goes on polling a ticket that was given up, or that an earlier page left behind.
export function resume(goodsId) {
  const ticket = queue.tickets[goodsId]
  if (!ticket?.taskId || ticket.phase !== 'stalled') return
  ticket.phase = 'queued'
  ticket.note = ''
  follow(ticket)
}

async function follow(ticket) {
  const until = Date.now() + patience
  for (let delay = firstDelay; current(ticket); delay = Math.min(delay * 1.5, maxDelay)) {
    await sleep(delay * (0.8 + 0.4 * Math.random())) // a crowd that came together does not ask together
    if (!current(ticket)) return
    try {
      const answer = await call(`/v1/seckill?task_id=${encodeURIComponent(ticket.taskId)}`)
      if (!current(ticket)) return
      if (answer.code === OK) {
        ticket.order = answer.data
        settle(ticket, 'won', '')
        return
      }
      if (answer.code === REFUSED) {
        settle(ticket, 'lost', reason(answer))
        return
      }
      ticket.note = answer.code === UNFINISHED ? t('ticket.retrying') : ''
    } catch (error) {
      if (!error.temporary) {
        settle(ticket, 'broken', error.message)
        return
      }
      ticket.note = t('ticket.unsteady')
      delay = Math.max(delay, error.retryAfter * 1000)
    }
    if (Date.now() > until) {
      ticket.phase = 'stalled'
      return
    }
  }
}

// reason is why the shop said no, without repeating that it did.
const reason = (answer) => sentence(answer.data?.reason) || answer.msg.replace(/^(秒杀失败|No order)[\s:：，]*/, '')

function open(goodsId, fields) {
  queue.tickets[goodsId] = { goodsId, note: '', taskId: '', order: null, ...fields }
  return queue.tickets[goodsId]
}

function settle(ticket, phase, note) {
  ticket.phase = phase
  ticket.note = note
  remember()
  if (queue.shown !== ticket.goodsId) toast([t(`ticket.${phase}`), note].filter(Boolean).join(' · '))
  refresh('goods')
  if (phase === 'won') refresh('orders')
}

let toastTimer

function toast(text) {
  queue.toast = text
  clearTimeout(toastTimer)
  toastTimer = setTimeout(() => { queue.toast = '' }, 8_000)
}

const current = (ticket) => queue.tickets[ticket.goodsId] === ticket

function remember() {
  const open = Object.values(queue.tickets).filter((k) => k.taskId && (k.phase === 'queued' || k.phase === 'stalled'))
  save('tickets', open.length ? open.map(({ goodsId, taskId, since }) => ({ goodsId, taskId, since })) : null)
}

export function restore() {
  for (const { goodsId, taskId, since } of load('tickets') ?? []) {
    if (!session.token || Date.now() - since > keptFor) continue
    follow(open(goodsId, { phase: 'queued', taskId, since }))
  }
  remember()
}

onLogout(() => {
  queue.tickets = {}
  queue.shown = null
  shop.orders = null
  remember()
})
