// The page: what is on it, and what keeps it true while it is open.
import { createApp, h, onMounted, watch, watchEffect } from './vendor/vue.runtime.esm-browser.prod.js'
import { tick } from './js/clock.js'
import { lang, locale, setLang, t } from './js/i18n.js'
import { queue, restore } from './js/queue.js'
import { askLogin, logout, session } from './js/session.js'
import { refresh, shop } from './js/shop.js'
import { Banners } from './js/views/banners.js'
import { Goods } from './js/views/goods.js'
import { Login } from './js/views/login.js'
import { Orders } from './js/views/orders.js'
import { icon, logo } from './js/views/parts.js'
import { Ticket } from './js/views/ticket.js'

const goodsEvery = 8_000 // ms between looks at the stock
const bannersEvery = 60_000

const masked = (mobile) => (mobile ? `${mobile.slice(0, 3)}****${mobile.slice(-4)}` : t('hello'))

const header = () =>
  h('header', { class: 'top' }, h('div', { class: 'wrap top-in' }, [
    h('a', { class: 'brand', href: '/' }, [logo(), h('b', t('brand')), h('span', { class: 'tagline' }, t('tagline'))]),
    h('div', { class: 'top-side' }, [
      h('button', { type: 'button', class: 'link', lang: lang.value === 'zh' ? 'en' : 'zh-CN', onClick: () => setLang(lang.value === 'zh' ? 'en' : 'zh') }, t('lang.other')),
      session.token
        ? [
            h('span', { class: 'who', id: 'who' }, [icon('user'), h('span', masked(session.user?.mobile))]),
            h('button', { type: 'button', class: 'link', id: 'logout', onClick: logout }, t('logout')),
          ]
        : h('button', { type: 'button', class: 'btn btn-small btn-ink', id: 'login-open', onClick: () => askLogin() }, t('login')),
    ]),
  ]))

const footer = () =>
  h('footer', { class: 'foot' }, h('div', { class: 'wrap foot-in' }, [
    h('span', `${t('brand')} · ${t('foot.about')}`),
    h('a', { href: '/docs' }, t('foot.docs')),
  ]))

// repeat runs job every period of ms, a little unevenly, while somebody looks; and when they look again.
function repeat(job, period) {
  let last = Date.now()
  const run = () => {
    last = Date.now()
    job()
  }
  setInterval(() => {
    if (!document.hidden && Date.now() - last > period * (0.8 + 0.4 * Math.random())) run()
  }, 1_000)
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && Date.now() - last > period) run()
  })
}

// enter follows a link of the page to itself: #login opens the dialog.
function enter() {
  if (location.hash !== '#login') return
  history.replaceState(null, '', location.pathname + location.search)
  if (!session.token) askLogin()
}

const App = {
  setup() {
    watchEffect(() => {
      document.documentElement.lang = locale()
      document.title = t('title')
    })
    watch(() => session.token, (token) => token && refresh('orders'))
    onMounted(() => {
      refresh('banners')
      refresh('goods')
      refresh('orders')
      restore()
      enter()
      addEventListener('hashchange', enter)
      setInterval(tick, 250)
      repeat(() => refresh('goods'), goodsEvery)
      repeat(() => refresh('banners'), bannersEvery)
    })
    return () => [
      h('a', { class: 'skip', href: '#goods' }, t('skip')),
      header(),
      h('main', { class: 'wrap', 'aria-busy': shop.goods === null || undefined }, [h(Banners), h(Goods), h(Orders)]),
      footer(),
      h(Login),
      h(Ticket),
      h('div', { class: 'toasts', role: 'status', 'aria-live': 'polite' }, queue.toast && h('p', { class: 'toast' }, queue.toast)),
    ]
  },
}

createApp(App).mount('#app')
