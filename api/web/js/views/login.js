// Login by phone: one form, a number and the code sent to it.
import { h, nextTick, reactive, watch } from '../../vendor/vue.runtime.esm-browser.prod.js'
import { t } from '../i18n.js'
import { bare, closeLogin, delivered, login, peekCode, plain, sendCode, session } from '../session.js'
import { Sheet } from './parts.js'

const again = 60_000 // ms until another code may be asked for, when the server does not say
const codeLives = 300_000 // ms
const fields = ['mobile', 'code']

const blank = () => ({ mobile: '', code: '', errors: {}, status: '', shown: '', sending: false, busy: false })

export const Login = {
  setup() {
    const form = reactive({ ...blank(), heldFor: '', sendAt: 0, now: Date.now() })
    const left = () => Math.max(0, Math.ceil((form.sendAt - form.now) / 1000))
    const wait = () => (plain(form.mobile) === form.heldFor ? left() : 0) // the limit is the number's
    const focus = (id) => nextTick(() => document.getElementById(id)?.focus())

    // offer shows a code for as long as it may be used: until it has lived, or a login with it has failed.
    let offered
    function offer(code) {
      form.shown = code
      clearTimeout(offered)
      offered = setTimeout(() => { form.shown = '' }, codeLives)
    }

    let timer
    function holdSend(mobile, ms) {
      form.heldFor = mobile
      form.now = Date.now()
      form.sendAt = form.now + ms
      clearInterval(timer)
      timer = setInterval(() => {
        form.now = Date.now()
        if (!left()) clearInterval(timer)
      }, 250)
    }

    watch(() => session.asking, (open) => {
      if (open) focus('mobile')
      else Object.assign(form, blank())
    })

    function fail(error, otherwise) {
      const field = fields.includes(error.field) ? error.field : otherwise
      form.errors = { [field]: error.message }
      focus(field)
    }

    async function send() {
      const mobile = plain(form.mobile)
      if (form.sending || wait()) return
      if (!/^1[3-9]\d{9}$/.test(mobile)) return fail({ field: 'mobile', message: t('login.mobile.bad') })
      Object.assign(form, { errors: {}, status: t('login.sending'), shown: '', sending: true })
      try {
        const id = await sendCode(mobile)
        holdSend(mobile, again)
        focus('code')
        const arrived = await delivered(id)
        if (arrived === false) {
          form.status = ''
          return fail({ field: 'mobile', message: t('login.failed') })
        }
        const code = arrived ? await peekCode(mobile) : '' // before it has arrived there may be an older one
        if (code && mobile === plain(form.mobile)) offer(code)
        form.status = code ? '' : t('login.sent')
      } catch (error) {
        form.status = ''
        if (error.status === 429) holdSend(mobile, (error.retryAfter || 60) * 1000)
        fail(error, 'mobile')
      } finally {
        form.sending = false
      }
    }

    async function submit(event) {
      event.preventDefault()
      const mobile = plain(form.mobile)
      const code = form.code.trim()
      if (!/^1[3-9]\d{9}$/.test(mobile)) return fail({ field: 'mobile', message: t('login.mobile.bad') })
      if (!/^\d{6}$/.test(code)) return fail({ field: 'code', message: t('login.code.bad') })
      if (form.busy) return
      Object.assign(form, { errors: {}, busy: true })
      try {
        await login(mobile, code)
      } catch (error) {
        if (error.status === 429 || (error.status === 400 && code === form.shown)) form.shown = '' // it is void
        fail(error, 'code')
      } finally {
        form.busy = false
      }
    }

    const input = (name, attributes) =>
      h('input', {
        id: name,
        name,
        class: 'input',
        value: form[name],
        required: true,
        'aria-invalid': form.errors[name] ? 'true' : undefined,
        'aria-describedby': form.errors[name] ? `${name}-error` : undefined,
        onInput: (event) => {
          if (name === 'mobile') {
            const typed = bare(event.target.value)
            if (typed !== event.target.value) event.target.value = typed
            if (plain(typed) !== form.heldFor) form.shown = '' // it was another number's
          }
          form[name] = event.target.value
          delete form.errors[name]
        },
        onChange: (event) => {
          if (name === 'mobile') form.mobile = event.target.value = plain(event.target.value)
        },
        ...attributes,
      })

    const complaint = (name) =>
      form.errors[name] && h('p', { id: `${name}-error`, class: 'field-error', role: 'alert' }, form.errors[name])

    const sendWords = () =>
      form.sending ? t('login.sending') : wait() ? t('login.wait', { n: wait() }) : t('login.send')

    return () => h(Sheet, { open: session.asking, label: 'login-heading', class: 'login', onClose: closeLogin }, {
      default: () => h('form', { onSubmit: submit, novalidate: true }, [
        h('h2', { id: 'login-heading' }, t('login.heading')),
        h('p', { class: ['login-note', { urgent: session.notice === 'login.expired' }] }, t(session.notice || 'login.note')),
        h('label', { for: 'mobile' }, t('login.mobile')),
        h('div', { class: 'with-prefix' }, [
          h('span', { class: 'prefix', 'aria-hidden': 'true' }, '+86'),
          input('mobile', { type: 'tel', inputmode: 'numeric', autocomplete: 'tel-national' }),
        ]),
        complaint('mobile'),
        h('label', { for: 'code' }, t('login.code')),
        h('div', { class: 'with-button' }, [
          input('code', { type: 'text', inputmode: 'numeric', autocomplete: 'one-time-code', maxlength: 6 }),
          h('button', { id: 'send-code', type: 'button', class: 'btn btn-quiet', disabled: form.sending || wait() > 0, onClick: send }, sendWords()),
        ]),
        complaint('code'),
        h('div', { class: 'login-status', role: 'status' }, form.shown
          ? h('p', { class: 'dev-code' }, [
              h('span', t('login.dev')),
              h('output', { id: 'shown-code' }, form.shown),
              h('button', { type: 'button', class: 'link', onClick: () => { form.code = form.shown; delete form.errors.code; focus('login-submit') } }, t('login.fill')),
            ])
          : form.status && h('p', form.status)),
        h('button', { id: 'login-submit', type: 'submit', class: 'btn btn-main', disabled: form.busy }, t(form.busy ? 'login.busy' : 'login')),
      ]),
    })
  },
}
