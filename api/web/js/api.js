// The HTTP contract: every answer is {"code", "msg", "data", "field"}, with "task_id" beside them.
import { t, locale } from './i18n.js'
import { heard } from './clock.js'

export const OK = 100
export const REFUSED = 101
export const UNFINISHED = 102
export const QUEUED = 103

const timeout = 20_000 // ms; longer than the longest ?wait=

// ApiError is an answer that is none of the four codes above. status 0: no answer at all.
export class ApiError extends Error {
  constructor(status, msg, field = '', retryAfter = 0) {
    super(msg)
    this.status = status
    this.field = field
    this.retryAfter = retryAfter // seconds, 0 when the server did not say
  }

  // temporary: the same request may well succeed later.
  get temporary() {
    return this.status === 0 || this.status === 429 || this.status >= 500
  }
}

export async function call(path, { method = 'GET', body, token } = {}) {
  const headers = { Accept: 'application/json', 'Accept-Language': locale() }
  if (body !== undefined) headers['Content-Type'] = 'application/json'
  if (token) headers.Authorization = `Bearer ${token}`
  let response, text
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: 'no-store',
      signal: AbortSignal.timeout(timeout),
    })
    text = await response.text()
  } catch {
    throw new ApiError(0, t('err.offline'))
  }
  heard(response.headers.get('Date'))
  const answer = parse(text)
  if (answer) answer.msg = sentence(answer.msg)
  const wait = retryAfter(response.headers.get('Retry-After'))
  if (!answer) throw new ApiError(response.status, t('err.strange', { status: response.status }), '', wait)
  if (answer.code >= OK && answer.code <= QUEUED) return answer
  const msg = answer.msg || t('err.strange', { status: response.status })
  throw new ApiError(response.status, msg, answer.field, wait)
}

// sentence begins what the server says, half a sentence in lower case where it is English, as people read it.
export const sentence = (text) => (text ? text[0].toUpperCase() + text.slice(1) : '')

function parse(text) {
  try {
    const answer = JSON.parse(text)
    return typeof answer?.code === 'number' ? answer : null
  } catch {
    return null
  }
}

// retryAfter reads seconds or an HTTP date (RFC 9110, 10.2.3).
function retryAfter(header) {
  if (!header) return 0
  const seconds = /^\d+$/.test(header) ? Number(header) : Math.ceil((Date.parse(header) - Date.now()) / 1000)
  return seconds > 0 ? seconds : 0
}
