// The carousel. It moves by itself until somebody points at it, focuses it, pauses it or wants less motion.
import { computed, h, onBeforeUnmount, onMounted, ref } from '../../vendor/vue.runtime.esm-browser.prod.js'
import { named, t } from '../i18n.js'
import { refresh, shop } from '../shop.js'
import { icon, trouble } from './parts.js'

const every = 6_000 // ms a slide

// local keeps our own pictures on this host, whatever name of it the server knows.
export function local(address) {
  try {
    const url = new URL(address, location.href)
    if (url.pathname.startsWith('/media/')) return url.pathname
    return url.protocol === 'https:' || url.origin === location.origin ? url.href : ''
  } catch {
    return ''
  }
}

// target is where a banner leads; '' unless it is a web address.
export function target(link) {
  if (!link) return ''
  try {
    const url = new URL(link, location.href)
    return /^https?:$/.test(url.protocol) ? url.href : ''
  } catch {
    return ''
  }
}

export const Banners = {
  setup() {
    const track = ref(null)
    const at = ref(0)
    const paused = ref(matchMedia('(prefers-reduced-motion: reduce)').matches)
    const held = ref(false)
    const broken = ref({})
    const slides = computed(() => shop.banners ?? [])

    function go(index) {
      const n = slides.value.length
      if (!n || !track.value) return
      const next = (index + n) % n
      track.value.scrollTo({ left: next * track.value.clientWidth })
    }

    function scrolled() {
      const el = track.value
      if (el?.clientWidth) at.value = Math.round(el.scrollLeft / el.clientWidth)
    }

    let timer
    onMounted(() => {
      timer = setInterval(() => {
        if (!paused.value && !held.value && !document.hidden) go(at.value + 1)
      }, every)
    })
    onBeforeUnmount(() => clearInterval(timer))

    // words are the title, which may have a second part behind a dot.
    const words = (title) => {
      const [head, ...rest] = named(title).split(' · ')
      return h('span', { class: 'slide-words' }, [h('b', head), rest.length > 0 && h('span', rest.join(' · '))])
    }

    const slide = (banner, i) => {
      const source = local(banner.image)
      const picture = [
        source && !broken.value[banner.id] && h('img', {
          src: source,
          alt: '',
          draggable: false,
          decoding: 'async',
          onError: () => { broken.value = { ...broken.value, [banner.id]: true } },
        }),
        words(banner.title),
      ]
      const href = target(banner.link)
      const outside = href && new URL(href).origin !== location.origin
      return h('li', {
        class: 'slide',
        key: banner.id,
        role: 'group',
        'aria-roledescription': 'slide',
        'aria-label': t('banner.at', { n: i + 1, of: slides.value.length }),
        inert: i !== at.value || undefined,
      }, href
        ? h('a', { href, target: outside ? '_blank' : undefined, rel: outside ? 'noopener noreferrer' : undefined }, picture)
        : picture)
    }

    const button = (name, label, onClick) =>
      h('button', { type: 'button', class: 'round', 'aria-label': label, title: label, onClick }, icon(name))

    return () => {
      if (shop.banners === null) {
        return h('section', { class: 'banners' }, shop.bannersError
          ? trouble(shop.bannersError, () => refresh('banners'))
          : h('div', { class: 'slide ghost' }))
      }
      if (!slides.value.length) return null
      const many = slides.value.length > 1
      return h('section', {
        class: 'banners',
        'aria-roledescription': 'carousel',
        'aria-label': t('banner.region'),
        onMouseenter: () => { held.value = true },
        onMouseleave: () => { held.value = false },
        onFocusin: () => { held.value = true },
        onFocusout: () => { held.value = false },
      }, [
        h('ul', { class: 'track', ref: track, onScrollPassive: scrolled }, slides.value.map(slide)),
        many && h('div', { class: 'banner-tools' }, [
          button('left', t('banner.prev'), () => go(at.value - 1)),
          h('span', { class: 'banner-dots', 'aria-hidden': 'true' },
            slides.value.map((_, i) => h('i', { class: { here: i === at.value } }))),
          h('span', { class: 'visually-hidden' }, t('banner.at', { n: at.value + 1, of: slides.value.length })),
          button('right', t('banner.next'), () => go(at.value + 1)),
          button(paused.value ? 'play' : 'pause', t(paused.value ? 'banner.play' : 'banner.pause'),
            () => { paused.value = !paused.value }),
        ]),
      ])
    }
  },
}
