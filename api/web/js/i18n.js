// The page's words in Chinese and English. t(key, {name}) fills {name} in the text.
import { ref } from '../vendor/vue.runtime.esm-browser.prod.js'
import { load, save } from './store.js'

const words = {
  'title': ['排队 · 限时秒杀', 'Paidui · flash sales'],
  'brand': ['排队', 'Paidui'],
  'tagline': ['先到先得，一单不丢', 'First come, first served'],
  'skip': ['跳到商品', 'Skip to the goods'],
  'lang.other': ['English', '中文'],
  'close': ['关闭', 'Close'],
  'retry': ['重试', 'Try again'],
  'loading': ['正在加载…', 'Loading…'],

  'banner.region': ['活动', 'Promotions'],
  'banner.prev': ['上一张', 'Previous'],
  'banner.next': ['下一张', 'Next'],
  'banner.pause': ['暂停轮播', 'Pause'],
  'banner.play': ['继续轮播', 'Play'],
  'banner.at': ['第 {n} 张，共 {of} 张', '{n} of {of}'],

  'goods.heading': ['限时秒杀', 'Flash sale'],
  'goods.clock': ['服务器时间', 'Server time'],
  'goods.empty': ['现在没有秒杀，晚点再来看看', 'Nothing on sale right now. Come back soon.'],
  'goods.soon': ['即将开始', 'Soon'],
  'goods.on': ['抢购中', 'On now'],
  'goods.out': ['已抢光', 'Sold out'],
  'goods.over': ['已结束', 'Over'],
  'goods.starts': ['距开始', 'Starts in'],
  'goods.ends': ['距结束', 'Ends in'],
  'goods.left': ['剩 {n} 件', '{n} left'],
  'goods.few': ['仅剩 {n} 件', 'Only {n} left'],
  'goods.limit': ['每人限 1 件', 'One per person'],
  'days': ['{n} 天', '{n}d'],

  'buy': ['立即秒杀', 'Buy now'],
  'buy.again': ['再试一次', 'Try again'],
  'buy.soon': ['未开始', 'Not yet'],
  'buy.out': ['已抢光', 'Sold out'],
  'buy.over': ['已结束', 'Over'],
  'buy.queued': ['排队中…', 'In line…'],
  'buy.won': ['已抢到', 'Yours'],
  'buy.of': ['{what}：{name}', '{what}: {name}'],

  'ticket.asking': ['正在取号', 'Taking a number'],
  'ticket.queued': ['您正在排队', 'You are in line'],
  'ticket.queued.note': ['请求已收下，正在按顺序处理。可以关掉这里，结果会记在商品上。', 'Your request is in, and handled in order. You may close this: the result stays on the item.'],
  'ticket.retrying': ['还没成功，正在重试', 'Not through yet, trying again'],
  'ticket.unsteady': ['网络不稳，正在重新查询', 'The connection is unsteady, asking again'],
  'ticket.won': ['秒杀成功', 'You got it'],
  'ticket.won.note': ['订单已生成，在“我的订单”里可以看到。', 'Your order is placed. Find it under My orders.'],
  'ticket.lost': ['秒杀失败', 'No luck'],
  'ticket.stalled': ['排队时间太长', 'Still in line'],
  'ticket.stalled.note': ['还没有等到结果。号还在，可以继续查询，也可以稍后到“我的订单”查看。', 'No result yet. Your place is kept: keep asking, or look under My orders later.'],
  'ticket.broken': ['没有排上队', 'Could not join the line'],
  'ticket.task': ['排队号', 'Ticket'],
  'ticket.order': ['订单号', 'Order'],
  'ticket.time': ['时间', 'Time'],
  'ticket.browse': ['先去逛逛', 'Keep browsing'],
  'ticket.keep': ['继续查询', 'Keep asking'],
  'ticket.orders': ['查看订单', 'See my orders'],
  'ticket.fine': ['知道了', 'OK'],
  'ticket.seal': ['抢到', 'Yours'],

  'login': ['登录', 'Log in'],
  'login.heading': ['手机号登录', 'Log in with your phone'],
  'login.note': ['首次登录会自动注册', 'New numbers are signed up on the way'],
  'login.first': ['登录后就能秒杀', 'Log in to take part'],
  'login.expired': ['登录已过期，请重新登录', 'Your login has expired, please log in again'],
  'login.mobile': ['手机号', 'Mobile number'],
  'login.mobile.bad': ['请输入 11 位中国大陆手机号', 'Enter an 11-digit mainland China mobile number'],
  'login.code': ['验证码', 'Code'],
  'login.code.bad': ['请输入 6 位验证码', 'Enter the 6-digit code'],
  'login.send': ['获取验证码', 'Get a code'],
  'login.sending': ['发送中…', 'Sending…'],
  'login.wait': ['{n} 秒后重发', 'Again in {n} s'],
  'login.sent': ['验证码已发送，5 分钟内有效', 'The code is on its way. It is valid for 5 minutes.'],
  'login.failed': ['短信没有发出，请稍后再试', 'The message was not sent. Try again later.'],
  'login.dev': ['开发环境，验证码是', 'Development: your code is'],
  'login.fill': ['填入', 'Fill in'],
  'login.busy': ['正在登录…', 'Logging in…'],
  'logout': ['退出', 'Log out'],
  'hello': ['已登录', 'Logged in'],

  'orders.heading': ['我的订单', 'My orders'],
  'orders.empty': ['还没有订单，去抢一件吧', 'No orders yet. Go and get one.'],
  'orders.goods': ['商品 #{id}', 'Item #{id}'],

  'foot.docs': ['接口文档', 'API reference'],
  'foot.about': ['下单先排队，任务按序跑', 'Orders queue up, tasks run in turn'],

  'err.offline': ['连不上服务器，请检查网络', 'The server cannot be reached. Check your connection.'],
  'err.strange': ['服务器的回答看不懂（{status}）', 'The server gave an unexpected answer ({status})'],
  'err.busy': ['太忙了，请 {n} 秒后再试', 'Busy. Try again in {n} s.'],
}

// What the shop is filled with at first is Chinese. These are its titles and names in English; whatever operators write
// stays as it is.
const names = {
  '限时秒杀 · 手慢无': 'Flash sale · Gone in a blink',
  '旗舰手机 · 新机首发': 'Flagship phone · On sale first here',
  '有序排队 · 一单不丢': 'One orderly line · No order lost',
  '准点开抢 · 每晚八点': 'On the dot · Every night at eight',
  '机械键盘 87 键 青轴': 'Mechanical keyboard, 87 keys, blue switches',
  '降噪蓝牙耳机': 'Noise-cancelling Bluetooth headphones',
  '明前龙井 250 克': 'Early spring Longjing tea, 250\u00a0g',
  '保温杯 500 毫升': 'Insulated bottle, 500\u00a0ml',
}

const remembered = load('lang')
export const lang = ref(remembered || (/^zh\b/i.test(navigator.language || 'zh') ? 'zh' : 'en'))

export function t(key, params) {
  const both = words[key]
  if (!both) return key
  const text = both[lang.value === 'en' ? 1 : 0]
  return params ? text.replace(/\{(\w+)\}/g, (whole, name) => params[name] ?? whole) : text
}

// named is a title or name of the shop's own, in the page's language where there is a word for it.
export const named = (text) => (lang.value === 'en' ? names[text] ?? text : text)

export function setLang(value) {
  lang.value = value
  save('lang', value)
}

// locale is for Accept-Language, <html lang> and Intl.
export const locale = () => (lang.value === 'en' ? 'en' : 'zh-CN')
