// Small parts that several views use.
import { h, onMounted, ref, watch } from '../../vendor/vue.runtime.esm-browser.prod.js'
import { t } from '../i18n.js'

const paths = {
  close: 'M6 6l12 12M18 6L6 18',
  left: 'M15 5l-7 7 7 7',
  right: 'M9 5l7 7-7 7',
  pause: 'M9 6v12M15 6v12',
  play: 'M8 5.5v13l10.5-6.5z',
  bolt: 'M13 2.5L5 13.5h5.5L10 21.5l8.5-11.5H13z',
  clock: 'M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zM12 7.5V12l3 2',
  check: 'M4.5 12.5l5 5 10-11',
  user: 'M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20.5c.8-4 3.8-6 7.5-6s6.7 2 7.5 6',
}

export const icon = (name) =>
  h('svg', { class: `icon icon-${name}`, viewBox: '0 0 24 24', 'aria-hidden': 'true' }, h('path', { d: paths[name] }))

export const logo = () =>
  h('svg', { class: 'logo', viewBox: '0 0 40 40', 'aria-hidden': 'true' }, [
    h('path', { class: 'logo-ticket', d: 'M6 6h28a3 3 0 0 1 3 3v7a4 4 0 0 0 0 8v7a3 3 0 0 1-3 3H6a3 3 0 0 1-3-3v-7a4 4 0 0 0 0-8V9a3 3 0 0 1 3-3z' }),
    h('circle', { class: 'logo-dot', cx: 12.5, cy: 20, r: 2.6 }),
    h('circle', { class: 'logo-dot', cx: 20, cy: 20, r: 2.6 }),
    h('path', { class: 'logo-dot', d: 'M26 14.5l5.5 5.5-5.5 5.5z' }),
  ])

export const trouble = (message, again) =>
  h('div', { class: 'trouble', role: 'alert' }, [
    h('p', message),
    h('button', { type: 'button', class: 'btn btn-quiet', onClick: again }, t('retry')),
  ])

// Sheet is a modal dialog: the browser keeps the focus in it and gives it back, and Escape closes it.
export const Sheet = {
  props: { label: String, open: Boolean },
  emits: ['close'],
  setup(props, { slots, emit, attrs }) {
    const el = ref(null)
    const follow = () => {
      if (!el.value) return
      if (props.open && !el.value.open) el.value.showModal()
      if (!props.open && el.value.open) el.value.close()
    }
    onMounted(follow)
    watch(() => props.open, follow, { flush: 'post' })
    return () =>
      h('dialog', {
        ...attrs,
        ref: el,
        'aria-labelledby': props.label,
        onClose: () => !el.value.open && emit('close'), // it comes late: the dialog may be open again
        onClick: (event) => event.target === el.value && emit('close'), // the backdrop
      }, props.open ? h('div', { class: 'sheet' }, [
        h('button', { type: 'button', class: 'sheet-close', 'aria-label': t('close'), onClick: () => emit('close') }, icon('close')),
        slots.default(),
      ]) : null)
  },
}
