// Package webtest walks through the page in headless Chromium, as a visitor would: for this page's own tests and
// for those of the whole program.
package webtest

import (
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// patience is how long one step may take on a busy machine.
const patience = 60 * time.Second

const pollEvery = 50 * time.Millisecond

// Browser starts a headless Chromium with a profile of its own and returns the context from which [NewTab] opens
// tabs. It ends with the test. When there is no Chromium the test fails, saying what to install.
func Browser(t testing.TB) context.Context {
	t.Helper()
	path := lookPath()
	if path == "" {
		t.Fatal("the page is tested in Chromium, and none is in PATH: apt-get install chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.NoSandbox, // it refuses to start as root otherwise
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("hide-scrollbars", true),
		// Whatever the page or the browser wants from elsewhere fails, and a page that asks is caught by Clean.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"),
	)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	browser, cancel := chromedp.NewContext(allocator, chromedp.WithErrorf(t.Logf))
	t.Cleanup(func() {
		bounded, done := context.WithTimeout(browser, 20*time.Second)
		defer done()
		if err := chromedp.Cancel(bounded); err != nil {
			t.Logf("closing Chromium: %v", err)
		}
		cancel()
		stop()
		chromedp.FromContext(browser).Allocator.Wait()
	})
	require.NoError(t, chromedp.Do(browser), "starting %s", path)
	return browser
}

func lookPath() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome-stable", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// View is how a tab looks at the page. The zero value is a light desktop of 1280x800 in Chinese.
type View struct {
	Width, Height int64
	Mobile        bool
	Dark          bool
	Language      string // Accept-Language and navigator.language, "zh-CN" when empty
}

// Tab is one tab with its own cookies and storage. One goroutine drives it.
type Tab struct {
	t   testing.TB
	ctx context.Context

	mu       sync.Mutex
	requests []string
	errors   []string
}

// NewTab opens a tab in the browser; it closes with the test.
func NewTab(t testing.TB, browser context.Context, view View) *Tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	tab := &Tab{t: t, ctx: ctx}
	require.NoError(t, chromedp.Do(ctx), "opening a tab")
	require.NoError(t, chromedp.Listen(ctx, tab.hear))
	call(tab, network.Enable, network.EnableParams{})
	call(tab, runtime.Enable, cdp.Empty{})
	call(tab, log.Enable, cdp.Empty{})
	tab.show(view)
	return tab
}

func (tab *Tab) show(view View) {
	if view.Width == 0 {
		view.Width, view.Height = 1280, 800
	}
	if view.Language == "" {
		view.Language = "zh-CN"
	}
	scheme := "light"
	if view.Dark {
		scheme = "dark"
	}
	mobile := []chromedp.EmulateViewportOption{chromedp.EmulateScale(1)}
	if view.Mobile {
		mobile = []chromedp.EmulateViewportOption{chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulateScale(2)}
	}
	require.NoError(tab.t, chromedp.Do(tab.ctx, chromedp.EmulateViewport(view.Width, view.Height, mobile...)))
	call(tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	call(tab, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{
		UserAgent:      Eval[string](tab, "navigator.userAgent"),
		AcceptLanguage: view.Language,
	})
}

func call[P, R any](tab *Tab, command cdp.Command[P, R], params P) {
	tab.t.Helper()
	_, err := chromedp.Call(tab.ctx, command, params)
	require.NoError(tab.t, err, command.Method)
}

// hear runs on the goroutine that reads the browser's messages.
func (tab *Tab) hear(event any) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		tab.requests = append(tab.requests, e.Request.URL)
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if thrown := e.ExceptionDetails.Exception; thrown != nil {
			text += " " + thrown.Description
		}
		tab.errors = append(tab.errors, text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			text := fmt.Sprintf("console.%s:", e.Type)
			for _, arg := range e.Args {
				text += fmt.Sprintf(" %s %s", arg.Value, arg.Description)
			}
			tab.errors = append(tab.errors, text)
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			tab.errors = append(tab.errors, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	}
}

// Clean fails the test when the page asked any host but that of baseURL for something, or wrote an error to the
// console. An answer with a status of 400 and up counts as an error, as the browser itself has it.
func (tab *Tab) Clean(baseURL string) {
	tab.t.Helper()
	home, err := url.Parse(baseURL)
	require.NoError(tab.t, err)
	tab.mu.Lock()
	defer tab.mu.Unlock()
	require.NotEmpty(tab.t, tab.requests, "no request was seen: the tab is not watched")
	for _, request := range tab.requests {
		u, err := url.Parse(request)
		require.NoError(tab.t, err)
		if u.Scheme != "data" && u.Scheme != "blob" {
			require.Equal(tab.t, home.Host, u.Host, "the page asked another host: %s", request)
		}
	}
	require.Empty(tab.t, tab.errors, "errors in the console")
}

func (tab *Tab) seen() []string {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	return slices.Clone(tab.errors)
}
