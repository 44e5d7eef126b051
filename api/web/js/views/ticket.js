// The numbered ticket of one 秒杀: in line, then won or lost.
import { computed, h } from '../../vendor/vue.runtime.esm-browser.prod.js'
import { stamp } from '../clock.js'
import { named, t } from '../i18n.js'
import { press, queue, resume, waiting } from '../queue.js'
import { picture, price, shop, stage } from '../shop.js'
import { Sheet } from './parts.js'

const close = () => { queue.shown = null }

function toOrders() {
  close()
  document.getElementById('orders')?.scrollIntoView({ block: 'start' })
}

// line draws people moving up to the counter.
const line = () =>
  h('div', { class: 'line', 'aria-hidden': 'true' }, [
    h('span', { class: 'counter' }),
    ...[0, 1, 2, 3, 4].map((i) => h('span', { class: ['person', { me: i === 3 }], style: { '--i': i } })),
  ])

const seal = (words, kind) => h('div', { class: ['seal', kind], 'aria-hidden': 'true' }, h('b', words))

const fact = (name, value, kind) => value && h('div', { class: 'fact' }, [h('dt', name), h('dd', { class: kind }, value)])

function heading(ticket) {
  return h('h2', { id: 'ticket-heading' }, t(`ticket.${ticket.phase}`))
}

function body(ticket) {
  switch (ticket.phase) {
    case 'asking':
      return [line(), heading(ticket), h('p', { class: 'ticket-note' }, t('loading'))]
    case 'queued':
      return [line(), heading(ticket), h('p', { class: 'ticket-note' }, ticket.note || t('ticket.queued.note'))]
    case 'stalled':
      return [line(), heading(ticket), h('p', { class: 'ticket-note' }, t('ticket.stalled.note'))]
    case 'won':
      return [seal(t('ticket.seal'), 'good'), heading(ticket), h('p', { class: 'ticket-note' }, t('ticket.won.note'))]
    default:
      return [h('div', { class: 'sorry', 'aria-hidden': 'true' }), heading(ticket), h('p', { class: 'ticket-note why' }, ticket.note)]
  }
}

function buttons(ticket, goods) {
  const button = (kind, words, onClick) => h('button', { type: 'button', class: ['btn', kind], onClick }, t(words))
  switch (ticket.phase) {
    case 'won':
      return [button('btn-main', 'ticket.orders', toOrders)]
    case 'stalled':
      return [button('btn-main', 'ticket.keep', () => resume(ticket.goodsId)), button('btn-quiet', 'ticket.browse', close)]
    case 'broken':
      return [goods && button('btn-main', 'retry', () => press(goods)), button('btn-quiet', 'ticket.fine', close)]
    case 'lost':
      return [button('btn-main', 'ticket.fine', close), goods && stage(goods) === 'on' && button('btn-quiet', 'buy.again', () => press(goods))]
    default:
      return [button('btn-quiet', 'ticket.browse', close)]
  }
}

function details(ticket, goods) {
  const { yuan, rest } = goods ? price(goods.price) : {}
  return h('div', { class: 'stub' }, [
    goods && h('div', { class: 'stub-goods' }, [
      h('span', { class: ['stub-picture', `tint-${picture(goods.name)}`] },
        h('img', { src: `/media/goods/${picture(goods.name)}.svg`, alt: '' })),
      h('span', { class: 'stub-name' }, named(goods.name)),
      h('span', { class: 'price' }, [h('small', '¥'), h('b', yuan), rest && h('small', rest)]),
    ]),
    h('dl', [
      fact(t('ticket.order'), ticket.order?.order_no, 'order-number'),
      fact(t('ticket.task'), ticket.taskId && `…${ticket.taskId.slice(-12)}`),
      fact(t('ticket.time'), ticket.order?.created_at && stamp(ticket.order.created_at)),
    ]),
  ])
}

export const Ticket = {
  setup() {
    const ticket = computed(() => queue.tickets[queue.shown])
    const goods = computed(() => shop.goods?.find((g) => g.id === queue.shown))
    return () => h(Sheet, { open: Boolean(ticket.value), label: 'ticket-heading', class: 'ticket', onClose: close }, {
      default: () => h('div', { class: ['ticket-paper', `is-${ticket.value.phase}`], 'data-phase': ticket.value.phase, 'aria-busy': waiting(ticket.value) || undefined }, [
        h('div', { class: 'ticket-main', role: 'status' }, body(ticket.value)),
        details(ticket.value, goods.value),
        h('div', { class: 'ticket-buttons' }, buttons(ticket.value, goods.value)),
      ]),
    })
  },
}
