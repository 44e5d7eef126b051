// What the page shows of the shop: banners, goods and the user's own orders.
import { reactive } from '../vendor/vue.runtime.esm-browser.prod.js'
import { call } from './api.js'
import { now } from './clock.js'
import { expired, session } from './session.js'

const lists = { banners: '/v1/banners', goods: '/v1/goods', orders: '/v1/orders' }

// Each list is null until it has come once; its error is '' or the message of the last failure.
export const shop = reactive({
  banners: null, bannersError: '',
  goods: null, goodsError: '',
  orders: null, ordersError: '',
})

export async function refresh(name) {
  const token = name === 'orders' ? session.token : undefined
  if (token === '') return
  try {
    const { data } = await call(lists[name], { token })
    if (name === 'orders' && token !== session.token) return // logged out meanwhile
    shop[name] = data ?? []
    shop[`${name}Error`] = ''
  } catch (error) {
    if (name === 'orders' && error.status === 401) {
      if (token === session.token) expired()
      return
    }
    shop[`${name}Error`] = error.message
  }
}

// stage says where a sale is: soon, on, out (of stock) or over.
export function stage(goods) {
  if (now.value >= Date.parse(goods.ends_at)) return 'over'
  if (now.value < Date.parse(goods.starts_at)) return 'soon'
  return goods.stock > 0 ? 'on' : 'out'
}

const rank = { on: 0, soon: 1, out: 2, over: 3 }

export function sorted(goods) {
  return goods
    .map((g) => ({ ...g, stage: stage(g) }))
    .sort((a, b) => rank[a.stage] - rank[b.stage])
}

// price splits fen into yuan and what follows the point.
export function price(fen) {
  const yuan = Math.floor(fen / 100).toLocaleString('en-US')
  const rest = fen % 100
  return { yuan, rest: rest ? `.${String(rest).padStart(2, '0')}` : '' }
}

// picture finds the drawing that fits a name. Goods carry no picture of their own.
const pictures = [
  ['headphones', /耳机|耳麦|headphone|headset|earbud|buds/i],
  ['watch', /手表|腕表|手环|watch/i],
  ['laptop', /笔记本|电脑|laptop|notebook|macbook/i],
  ['camera', /相机|摄像|镜头|camera/i],
  ['console', /游戏|掌机|手柄|console|switch|\bgame/i],
  ['speaker', /音箱|音响|speaker/i],
  ['keyboard', /键盘|keyboard/i],
  ['tea', /茶|龙井|普洱|\btea\b/i],
  ['cup', /杯|壶|\b(cup|mug|flask|bottle)\b/i],
  ['phone', /手机|phone|pixel|galaxy|小米|华为|荣耀/i],
]

export const picture = (name) => (pictures.find(([, fits]) => fits.test(name)) ?? ['gift'])[0]
