// The user's own orders, newest first.
import { h } from '../../vendor/vue.runtime.esm-browser.prod.js'
import { stamp } from '../clock.js'
import { named, t } from '../i18n.js'
import { session } from '../session.js'
import { picture, price, refresh, shop } from '../shop.js'
import { trouble } from './parts.js'

function row(order) {
  const goods = shop.goods?.find((g) => g.id === order.goods_id)
  const name = goods?.name ?? t('orders.goods', { id: order.goods_id })
  const cost = goods && price(goods.price)
  return h('li', { class: 'order', key: order.order_no }, [
    h('span', { class: ['stub-picture', `tint-${picture(name)}`] }, h('img', { src: `/media/goods/${picture(name)}.svg`, alt: '' })),
    h('span', { class: 'order-name' }, [h('b', named(name)), h('span', { class: 'order-no' }, `${t('ticket.order')} ${order.order_no}`)]),
    h('span', { class: 'order-side' }, [
      cost && h('span', { class: 'price' }, [h('small', '¥'), h('b', cost.yuan), cost.rest && h('small', cost.rest)]),
      h('time', { datetime: order.created_at }, stamp(order.created_at)),
    ]),
  ])
}

export const Orders = {
  setup: () => () => session.token && h('section', { class: 'orders', id: 'orders', 'aria-labelledby': 'orders-heading' }, [
    h('div', { class: 'section-head' }, h('h2', { id: 'orders-heading' }, t('orders.heading'))),
    shop.orders === null && (shop.ordersError
      ? trouble(shop.ordersError, () => refresh('orders'))
      : h('p', { class: 'empty' }, t('loading'))),
    shop.orders?.length === 0 && h('p', { class: 'empty' }, t('orders.empty')),
    shop.orders?.length > 0 && h('ul', { class: 'order-list' }, shop.orders.map(row)),
  ]),
}
