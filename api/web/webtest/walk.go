package webtest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// Walk does the whole visit in one tab: opens the page, sees banners that really load, logs in with the code that a
// development server shows, presses 秒杀 on the first goods on sale, waits for 秒杀成功, and sees the order among its
// own. It fails the test when any of it does not happen, when a request leaves the host, or when the console has an
// error. It returns the order number.
func Walk(t testing.TB, browser context.Context, baseURL, mobile string) (orderNo string) {
	t.Helper()
	tab := NewTab(t, browser, View{})
	tab.Open(baseURL)
	tab.SeeBanners()
	tab.Login(mobile)
	goods := tab.FirstOnSale()
	tab.Press(goods)
	tab.AwaitTicket("won")
	require.Contains(t, tab.TicketText(), "秒杀成功")
	orderNo = tab.OrderNo()
	tab.CloseTicket()
	tab.Await("the order in the list", `[...document.querySelectorAll('.order-no')].some((e) => e.textContent.includes(`+strconv.Quote(orderNo)+`))`)
	tab.Clean(baseURL)
	return orderNo
}

// Open opens the page and waits until it is there.
func (tab *Tab) Open(baseURL string) {
	tab.t.Helper()
	tab.do("opening the page", chromedp.Navigate(baseURL))
	tab.Await("the page", `document.querySelector('main') !== null`)
}

// SeeBanners waits until there are banners and every one of their pictures has loaded; it returns how many.
func (tab *Tab) SeeBanners() int {
	tab.t.Helper()
	tab.Await("banners with pictures",
		`(() => { const all = [...document.querySelectorAll('.slide img')]; return all.length > 0 && all.every((i) => i.complete && i.naturalWidth > 0) })()`)
	return Eval[int](tab, `document.querySelectorAll('.slide img').length`)
}

// Login logs in through the dialog, which it opens unless it is open, with the code that the page shows.
func (tab *Tab) Login(mobile string) {
	tab.t.Helper()
	if !Eval[bool](tab, `document.querySelector('dialog.login[open]') !== null`) {
		tab.Click("#login-open")
	}
	tab.Type("#mobile", mobile)
	tab.Click("#send-code")
	tab.Await("the code", `/^\d{6}$/.test(document.querySelector('#shown-code')?.textContent ?? '')`)
	tab.Type("#code", tab.Text("#shown-code"))
	tab.Click("#login-submit")
	tab.Await("being logged in", `document.querySelector('#who') !== null`)
	masked := mobile[:3] + "****" + mobile[len(mobile)-4:]
	require.Contains(tab.t, tab.Text("#who"), masked)
}

// FirstOnSale waits for goods on sale and returns the id of the first.
func (tab *Tab) FirstOnSale() int64 {
	tab.t.Helper()
	tab.Await("goods on sale", `document.querySelector('[data-stage="on"]') !== null`)
	id, err := strconv.ParseInt(Eval[string](tab, `document.querySelector('[data-stage="on"]').dataset.goods`), 10, 64)
	require.NoError(tab.t, err)
	return id
}

// Press presses the button of the goods.
func (tab *Tab) Press(goods int64) {
	tab.t.Helper()
	tab.Click(fmt.Sprintf(`[data-goods="%d"] .buy`, goods))
}

// AwaitTicket waits until the open ticket is in the phase: asking, queued, stalled, won, lost or broken.
func (tab *Tab) AwaitTicket(phase string) {
	tab.t.Helper()
	tab.Await("a ticket that is "+phase, `document.querySelector('.ticket-paper')?.dataset.phase === `+strconv.Quote(phase))
}

// TicketText is all that the open ticket says.
func (tab *Tab) TicketText() string { return tab.Text(".ticket-paper") }

// OrderNo is the order number on the open ticket.
func (tab *Tab) OrderNo() string {
	tab.t.Helper()
	return tab.Text(".ticket-paper .order-number")
}

// CloseTicket closes the open ticket.
func (tab *Tab) CloseTicket() {
	tab.t.Helper()
	tab.Click("dialog.ticket .sheet-close")
	tab.Await("the ticket closed", `document.querySelector('dialog.ticket[open]') === null`)
}

// Text is the rendered text of the first element that matches the CSS selector.
func (tab *Tab) Text(selector string) string {
	tab.t.Helper()
	tab.Await("the element "+selector, `document.querySelector(`+strconv.Quote(selector)+`) !== null`)
	return strings.TrimSpace(Eval[string](tab, `document.querySelector(`+strconv.Quote(selector)+`).innerText`))
}

// Click clicks the first element that matches the CSS selector, once it is there and enabled. A page that moves the
// element between the finding and the press makes the mouse miss it, so Click repeats until the element had the click.
func (tab *Tab) Click(selector string) {
	tab.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		tab.Await("a button "+selector, `((element) => {
			if (!element) return false
			globalThis.clicked = false
			element.addEventListener('click', () => { globalThis.clicked = true }, { capture: true, once: true })
			return true
		})(document.querySelector(`+strconv.Quote(selector+":not(:disabled)")+`))`)
		tab.do("clicking "+selector, chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
		// Undefined is another document, which only the click can have opened.
		if Eval[bool](tab, `globalThis.clicked !== false`) {
			return
		}
		require.True(tab.t, time.Now().Before(deadline), "the element %s is never where the mouse clicks", selector)
	}
}

// Type replaces what is in the input by the text, key by key.
func (tab *Tab) Type(selector, text string) {
	tab.t.Helper()
	tab.do("finding "+selector, chromedp.WaitVisible(chromedp.CSS(selector)))
	Eval[bool](tab, `((input) => { input.focus(); input.select(); return true })(document.querySelector(`+strconv.Quote(selector)+`))`)
	tab.do("typing into "+selector, chromedp.KeyEvent(text))
}

// Eval returns the value of a JavaScript expression in the page.
func Eval[T any](tab *Tab, expression string) T {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	require.NoError(tab.t, err, "evaluating %s", expression)
	return value
}

// Screenshot returns what the tab shows as a PNG.
func (tab *Tab) Screenshot() []byte {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	require.NoError(tab.t, err, "taking a screenshot")
	return png
}

func (tab *Tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	require.NoError(tab.t, chromedp.Do(ctx, steps...), "%s; console: %q", what, tab.seen())
}

// Await waits until the JavaScript expression is true; what says in a failure what was awaited.
func (tab *Tab) Await(what, expression string) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	_, err := chromedp.Run(ctx, chromedp.Poll[bool](expression,
		chromedp.WithPollingTimeout(patience), chromedp.WithPollingInterval(pollEvery)))
	if err != nil {
		require.NoError(tab.t, err, "waiting for %s; the page says:\n%s\nconsole: %q",
			what, Eval[string](tab, `document.body.innerText`), tab.seen())
	}
}
