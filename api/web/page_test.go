package web_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/api/web/webtest"
	"github.com/paidui/paidui/deploy/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// TestPage shares one browser; every case has a tab and a shop of its own.
func TestPage(t *testing.T) {
	browser := webtest.Browser(t)
	const mobile = "13800138000"

	t.Run("a visit from banners to order", func(t *testing.T) {
		s := newShop(t)
		require.Equal(t, "P202511200001", webtest.Walk(t, browser, s.URL, mobile))
		require.Equal(t, 1, s.entered(keyboard))
	})

	t.Run("lost while queued", func(t *testing.T) {
		s := newShop(t)
		tab := open(t, browser, s, webtest.View{})
		tab.Login(mobile)
		tab.Press(earbuds)
		tab.AwaitTicket("lost")
		require.Contains(t, tab.TicketText(), "秒杀失败")
		require.Contains(t, tab.TicketText(), "库存不足")
		require.Equal(t, 3, s.looked(earbuds), "103, 102 and 101 are one look each, and then it is over")
		tab.CloseTicket()
		require.Contains(t, tab.Text(`[data-goods="2"] .buy`), "再试一次")
		tab.Clean(s.URL)
	})

	t.Run("refused at the door", func(t *testing.T) {
		s := newShop(t)
		tab := open(t, browser, s, webtest.View{})
		tab.Login(mobile)
		tab.Press(watch)
		tab.AwaitTicket("lost")
		require.Contains(t, tab.TicketText(), "已经抢光了")
		require.NotContains(t, tab.Text(".why"), "秒杀失败", "the reason does not repeat the heading")
		require.Zero(t, s.looked(watch))
	})

	t.Run("queueing goes on behind a closed ticket, through a 503 and over a reload", func(t *testing.T) {
		s := newShop(t)
		tab := open(t, browser, s, webtest.View{})
		tab.Login(mobile)
		s.change(func() { s.mute = 2 })
		tab.Press(console)
		tab.AwaitTicket("queued")
		require.Contains(t, tab.TicketText(), "您正在排队")
		tab.CloseTicket()
		require.Contains(t, tab.Text(`[data-goods="6"] .buy`), "排队中")
		require.Eventually(t, func() bool { return s.looked(console) > 3 }, time.Minute, 20*time.Millisecond)
		tab.Open(s.URL)
		tab.Await("the ticket kept over the reload", `document.querySelector('[data-goods="6"]')?.dataset.ticket === 'queued'`)
		s.change(func() { s.released = true })
		tab.Await("the result told", `document.querySelector('.toast')?.textContent.includes('秒杀成功')`)
		tab.Await("the button", `document.querySelector('[data-goods="6"] .buy').textContent.includes('已抢到')`)
		require.Equal(t, 1, s.entered(console))
	})

	t.Run("pressing without a login logs in first, and an expired login asks again", func(t *testing.T) {
		s := newShop(t)
		tab := open(t, browser, s, webtest.View{})
		tab.FirstOnSale()
		tab.Press(keyboard)
		tab.Login(mobile)
		tab.AwaitTicket("won")
		tab.CloseTicket()

		s.change(func() { s.token = "another" })
		tab.Press(earbuds)
		tab.Await("the login dialog", `document.querySelector('dialog.login[open]') !== null`)
		require.Contains(t, tab.Text(".login-note"), "登录已过期")
		require.Equal(t, "null", webtest.Eval[string](tab, `String(localStorage.getItem('paidui.token'))`))
		tab.Login("13900139000") // another: the first must wait a minute for its next code
		tab.AwaitTicket("lost")
	})

	t.Run("login says what is wrong", func(t *testing.T) {
		s := newShop(t)
		tab := open(t, browser, s, webtest.View{})
		tab.Click("#login-open")
		for _, wrong := range []string{"1380013800", "23800138000", "１３８００１３８", "+8613800138"} {
			tab.Type("#mobile", wrong)
			tab.Click("#send-code")
			require.Contains(t, tab.Text("#mobile-error"), "11 位", wrong)
			require.Equal(t, "mobile", webtest.Eval[string](tab, `document.activeElement.id`))
		}
		s.change(func() { s.limited = true })
		tab.Type("#mobile", "+86 138-0013-8000")
		tab.Click("#send-code")
		require.Equal(t, "13800138000", webtest.Eval[string](tab, `document.querySelector('#mobile').value`), "+86 stands before the field")
		require.Contains(t, tab.Text("#mobile-error"), "发送太频繁")
		tab.Await("the countdown", `/^(4[0-2]|3\d) 秒后重发$/.test(document.querySelector('#send-code').textContent)`)
		require.True(t, webtest.Eval[bool](tab, `document.querySelector('#send-code').disabled`))
		tab.Type("#code", "000000")
		tab.Click("#login-submit")
		require.Contains(t, tab.Text("#code-error"), "验证码不对")
	})

	t.Run("a code that was refused is not offered again", func(t *testing.T) {
		s := newShop(t)
		tab := open(t, browser, s, webtest.View{})
		tab.Click("#login-open")
		tab.Type("#mobile", mobile)
		tab.Click("#send-code")
		code := tab.Text("#shown-code")
		s.change(func() { s.void = true })
		tab.Type("#code", code)
		tab.Click("#login-submit")
		require.Contains(t, tab.Text("#code-error"), "验证码不对")
		tab.Await("no code offered", `document.querySelector('#shown-code') === null`)
	})

	t.Run("a banner's new title is seen", func(t *testing.T) {
		s := newShop(t)
		s.change(func() { s.banners[0]["title"] = "周年庆 · 全场五折" })
		tab := open(t, browser, s, webtest.View{})
		tab.SeeBanners()
		require.Contains(t, tab.Text(".slide"), "周年庆")
		require.Contains(t, tab.Text(".slide"), "全场五折")
	})

	t.Run("stages, prices and order of the goods", func(t *testing.T) {
		s := newShop(t)
		tab := open(t, browser, s, webtest.View{})
		tab.FirstOnSale()
		for goods, want := range map[int]struct{ stage, says string }{
			keyboard: {"on", "¥199"},
			earbuds:  {"on", "¥399.50"},
			watch:    {"on", "仅剩 3 件"},
			tea:      {"soon", "距开始"},
			speaker:  {"out", "已抢光"},
			flask:    {"over", "已结束"},
		} {
			card := fmt.Sprintf(`[data-goods="%d"]`, goods)
			require.Equal(t, want.stage, webtest.Eval[string](tab, `document.querySelector('`+card+`').dataset.stage`))
			require.Contains(t, webtest.Eval[string](tab, `document.querySelector('`+card+`').innerText.replaceAll('\n', '')`), want.says)
			require.Equal(t, want.stage != "on", webtest.Eval[bool](tab, `document.querySelector('`+card+` .buy').disabled`))
		}
		require.Equal(t, "on,on,on,on,soon,out,over", webtest.Eval[string](tab, `[...document.querySelectorAll('[data-stage]')].map((c) => c.dataset.stage).join()`))
	})

	t.Run("English", func(t *testing.T) {
		s := newShop(t)
		tab := open(t, browser, s, webtest.View{Language: "en-US"})
		tab.FirstOnSale()
		require.Contains(t, tab.Text("#goods-heading"), "Flash sale")
		require.Contains(t, tab.Text(`[data-goods="1"]`), "Mechanical keyboard")
		require.Equal(t, "en", webtest.Eval[string](tab, `document.documentElement.lang`))
		tab.Click(".top .link")
		tab.Await("Chinese", `document.querySelector('#goods-heading').innerText.includes('限时秒杀')`)
		tab.Open(s.URL)
		tab.Await("Chinese remembered", `document.querySelector('#goods-heading')?.innerText.includes('限时秒杀')`)
		tab.Clean(s.URL)
	})

	t.Run("a phone has no sideways scrolling", func(t *testing.T) {
		s := newShop(t)
		for _, width := range []int64{320, 390, 768} {
			tab := open(t, browser, s, webtest.View{Width: width, Height: 844, Mobile: true})
			tab.FirstOnSale()
			tab.SeeBanners()
			require.LessOrEqual(t, webtest.Eval[int64](tab, `document.documentElement.scrollWidth`), width)
		}
	})

	t.Run("a server that cannot be reached", func(t *testing.T) {
		s := newShop(t)
		tab := open(t, browser, s, webtest.View{})
		webtest.Eval[bool](tab, `(window.realFetch = fetch, window.fetch = () => Promise.reject(new TypeError('down')), true)`)
		tab.Click("#login-open")
		tab.Type("#mobile", mobile)
		tab.Click("#send-code")
		require.Contains(t, tab.Text("#mobile-error"), "连不上服务器")
		webtest.Eval[bool](tab, `(window.fetch = window.realFetch, true)`)
		tab.Click("#send-code")
		tab.Await("the code", `document.querySelector('#shown-code') !== null`)
		tab.Clean(s.URL)
	})
}

func open(t *testing.T, browser context.Context, s *shop, view webtest.View) *webtest.Tab {
	t.Helper()
	tab := webtest.NewTab(t, browser, view)
	tab.Open(s.URL)
	return tab
}

// TestLooks writes pictures of the page into the folder PAIDUI_SCREENSHOTS, for somebody to look at.
func TestLooks(t *testing.T) {
	folder := os.Getenv("PAIDUI_SCREENSHOTS")
	if folder == "" {
		t.Skip("set PAIDUI_SCREENSHOTS to a folder to get pictures")
	}
	browser := webtest.Browser(t)
	for name, view := range map[string]webtest.View{
		"desktop-light":   {},
		"desktop-dark":    {Dark: true, Language: "en-US"},
		"mobile-light":    {Width: 360, Height: 800, Mobile: true},
		"mobile-dark":     {Width: 390, Height: 844, Mobile: true, Dark: true},
		"mobile-light-en": {Width: 360, Height: 800, Mobile: true, Language: "en-US"},
	} {
		s := newShop(t)
		tab := open(t, browser, s, view)
		shot := func(state string) {
			t.Helper()
			tab.Await("animations", `document.getAnimations().every((a) => a.effect.getTiming().iterations === Infinity || a.playState !== 'running')`)
			require.NoError(t, os.WriteFile(filepath.Join(folder, name+"-"+state+".png"), tab.Screenshot(), 0o600))
		}
		tab.SeeBanners()
		tab.FirstOnSale()
		shot("1-home")
		webtest.Eval[bool](tab, `(document.querySelector('#goods').scrollIntoView(), true)`)
		shot("2-goods")
		tab.Press(keyboard)
		tab.Type("#mobile", "13800138000")
		tab.Click("#send-code")
		tab.Text("#shown-code")
		shot("3-login")
		tab.Type("#code", smsCode)
		tab.Click("#login-submit")
		tab.AwaitTicket("won")
		shot("5-won")
		tab.CloseTicket()
		tab.Press(console)
		tab.AwaitTicket("queued")
		shot("4-queued")
		tab.CloseTicket()
		tab.Press(watch)
		tab.AwaitTicket("lost")
		shot("6-lost")
		tab.CloseTicket()
		webtest.Eval[bool](tab, `(document.querySelector('#orders').scrollIntoView(), true)`)
		shot("7-orders")
	}
}
