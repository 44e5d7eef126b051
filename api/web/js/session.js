// Who is logged in, and how one logs in: a number, a code by SMS, a token.
import { reactive } from '../vendor/vue.runtime.esm-browser.prod.js'
import { call } from './api.js'
import { sleep } from './clock.js'
import { load, save } from './store.js'

export const session = reactive({
  token: load('token') || '',
  user: load('user'),
  asking: false, // the login dialog is open
  notice: '', // a key of i18n: why it is open
})

let afterLogin = null // what the user wanted when the login came in between
let afterLogout = () => {}

export const onLogout = (forget) => { afterLogout = forget }

export function askLogin(notice = '', then = null) {
  session.notice = notice
  session.asking = true
  afterLogin = then
}

export function closeLogin() {
  session.asking = false
  afterLogin = null
}

export function logout() {
  session.token = ''
  session.user = null
  save('token', null)
  save('user', null)
  afterLogout()
}

// expired is for a 401: the token goes, the login comes, and what was wanted goes on afterwards.
export function expired(then = null) {
  logout()
  askLogin('login.expired', then)
}

export async function login(mobile, code) {
  const { data } = await call('/v1/login', { method: 'POST', body: { mobile, code } })
  session.token = data.token
  session.user = data.user
  save('token', data.token)
  save('user', data.user)
  const then = afterLogin
  closeLogin()
  then?.()
}

// plain takes out of a number what people and address books put into it: blanks, dashes, the country's code.
export const plain = (mobile) => mobile.replace(/[\s-]/g, '').replace(/^(\+|00)?86(?=\d{11}$)/, '')

// bare takes the country's code off what is being typed: the form has it before the field already.
export const bare = (typed) => typed.replace(/^\s*(\+|00)\s*86[\s-]*/, '')

// sendCode asks for an SMS and answers its task id.
export async function sendCode(mobile) {
  const { task_id: id } = await call('/v1/sms', { method: 'POST', body: { mobile } })
  return id
}

// delivered waits for the task that sends the SMS: true, false, or undefined when it takes too long to tell.
export async function delivered(id) {
  for (let round = 0; id && round < 3; round++) {
    try {
      const { data } = await call(`/v1/tasks/${encodeURIComponent(id)}?wait=8s`)
      if (data?.state === 'SUCCESS') return true
      if (data?.state === 'FAILURE' || data?.state === 'REVOKED') return false
    } catch (error) {
      if (!error.temporary) return undefined
    }
    await sleep(500)
  }
  return undefined
}

let outbox = true // until the server says that it has none, or not for us

// peekCode reads the code where a development server keeps it; '' when there is none to be seen.
export async function peekCode(mobile) {
  for (let round = 0; outbox && round < 5; round++) {
    try {
      const { data } = await call(`/v1/outbox?mobile=${encodeURIComponent(mobile)}`)
      if (data?.[0]?.code) return data[0].code
    } catch (error) {
      if ([401, 403, 404].includes(error.status)) outbox = false
      if (!error.temporary) return ''
    }
    await sleep(400)
  }
  return ''
}
