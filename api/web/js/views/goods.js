// The goods on sale: a card each, with its clock and its button.
import { h } from '../../vendor/vue.runtime.esm-browser.prod.js'
import { now, span, timeOfDay } from '../clock.js'
import { named, t } from '../i18n.js'
import { press, queue, resume, waiting } from '../queue.js'
import { picture, price, refresh, shop, sorted } from '../shop.js'
import { icon, trouble } from './parts.js'

const few = 10 // pieces at which the card says "only"

function countdown(goods) {
  const soon = goods.stage === 'soon'
  const left = span(Date.parse(soon ? goods.starts_at : goods.ends_at) - now.value)
  return h('p', { class: 'countdown' }, [
    h('span', { class: 'countdown-label' }, t(soon ? 'goods.starts' : 'goods.ends')),
    h('span', { class: 'countdown-clock' }, [
      left.days > 0 && h('span', { class: 'days' }, t('days', { n: left.days })),
      ...left.clock.split(':').flatMap((part, i) => [i > 0 && h('i', ':'), h('b', part)]),
    ]),
  ])
}

function stock(goods) {
  if (goods.stage === 'over' || goods.stage === 'out') return h('p', { class: 'stock' }, t('goods.limit'))
  const scarce = goods.stage === 'on' && goods.stock <= few
  return h('p', { class: ['stock', { scarce }] }, [
    h('span', t(scarce ? 'goods.few' : 'goods.left', { n: goods.stock })),
    h('span', { class: 'dim' }, t('goods.limit')),
  ])
}

// action is what the button says and does: by the user's own ticket first, then by the sale's stage.
function action(goods, bought) {
  const ticket = queue.tickets[goods.id]
  const show = () => { queue.shown = goods.id }
  if (waiting(ticket)) return { words: 'buy.queued', kind: 'wait', run: show }
  if (ticket?.phase === 'stalled') return { words: 'ticket.keep', kind: 'wait', run: () => { show(); resume(goods.id) } }
  if (ticket?.phase === 'won' || bought) return { words: 'buy.won', kind: 'won', run: ticket ? show : null }
  if (goods.stage === 'on') {
    const again = ticket?.phase === 'lost' || ticket?.phase === 'broken'
    return { words: again ? 'buy.again' : 'buy', kind: 'buy', run: () => press(goods) }
  }
  return { words: `buy.${goods.stage}`, kind: 'off', run: null }
}

function buyButton(goods, bought) {
  const { words, kind, run } = action(goods, bought)
  const glyph = { buy: 'bolt', won: 'check', wait: 'clock' }[kind]
  return h('button', {
    type: 'button',
    class: ['btn', 'buy', `buy-${kind}`],
    disabled: !run,
    'aria-label': t('buy.of', { what: t(words), name: named(goods.name) }),
    onClick: run,
  }, [glyph && icon(glyph), h('span', t(words))])
}

function card(goods) {
  const bought = shop.orders?.some((o) => o.goods_id === goods.id)
  const kind = picture(goods.name)
  const { yuan, rest } = price(goods.price)
  return h('li', {
    class: ['card', `stage-${goods.stage}`],
    key: goods.id,
    'data-goods': goods.id,
    'data-stage': goods.stage,
    'data-ticket': queue.tickets[goods.id]?.phase,
  }, [
    h('div', { class: ['card-picture', `tint-${kind}`] }, [
      h('img', { src: `/media/goods/${kind}.svg`, alt: '', loading: 'lazy', draggable: false }),
      h('span', { class: 'chip' }, t(`goods.${goods.stage}`)),
    ]),
    h('div', { class: 'card-body' }, [
      h('h3', named(goods.name)),
      stock(goods),
      goods.stage === 'soon' || goods.stage === 'on' ? countdown(goods) : h('p', { class: 'countdown' }),
      h('div', { class: 'card-foot' }, [
        h('p', { class: 'price' }, [h('small', '¥'), h('b', yuan), rest && h('small', rest)]),
        buyButton(goods, bought),
      ]),
    ]),
  ])
}

export const Goods = {
  setup: () => () =>
    h('section', { class: 'goods', id: 'goods', 'aria-labelledby': 'goods-heading', tabindex: -1 }, [
      h('div', { class: 'section-head' }, [
        h('h2', { id: 'goods-heading' }, [icon('bolt'), t('goods.heading')]),
        h('p', { class: 'server-clock' }, [`${t('goods.clock')} `, h('b', timeOfDay(now.value))]),
      ]),
      shop.goods === null && (shop.goodsError
        ? trouble(shop.goodsError, () => refresh('goods'))
        : h('ul', { class: 'cards', 'aria-label': t('loading') }, [1, 2, 3, 4].map(() => h('li', { class: 'card ghost' })))),
      shop.goods?.length === 0 && h('p', { class: 'empty' }, t('goods.empty')),
      shop.goods?.length > 0 && h('ul', { class: 'cards' }, sorted(shop.goods).map(card)),
    ]),
}
