package top

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/ctl/remote"
	"github.com/paidui/paidui/deploy/ctl/show"
	"github.com/paidui/paidui/deploy/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// api answers by method and path; what has no answer is a 404.
type api struct {
	*httptest.Server
	mu       sync.Mutex
	answers  map[string]string
	down     bool
	requests []string
}

func newAPI(t *testing.T) *api {
	a := &api{answers: map[string]string{
		"GET /v1/queues": `{"queues":[
			{"name":"default","paused":null,"pending":1200,"active":4,"scheduled":3,"retry":0,"dead":2,"oldest_wait":0.07,"in_last_minute":120,"out_last_minute":60,"workers":1},
			{"name":"订单","paused":{"since":"2026-12-01T11:55:00Z","by":"alice"},"pending":7,"active":0,"scheduled":0,"retry":0,"dead":0,"oldest_wait":300,"in_last_minute":0,"out_last_minute":0,"workers":0}],"next_cursor":null}`,
		"GET /v1/workers": `{"workers":[{"id":"w-1|a","name":"w-1","host":"vm-3","phase":"serving","queues":{"default":3},"slots":8,"running":1,"version":"v1","commands":true,
			"since":"2026-12-01T10:00:00Z","last_seen_at":"2026-12-01T12:00:00Z","runs":[{"id":"month-09","task":"reports.monthly","queue":"default","attempt":1,"since":"2026-12-01T11:59:00Z",
			"deadline":"2026-12-01T12:09:00Z","progress":{"done":2,"total":25,"note":"2026-09"}}]}],"next_cursor":null}`,
		"GET /v1/tasks/month-09": `{"id":"month-09","task":"reports.monthly","queue":"default","state":"PROGRESS","args":{"month":"2026-09"},"attempts":[],"max_retries":3}`,
	}}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		line := r.Method + " " + r.URL.EscapedPath()
		a.mu.Lock()
		a.requests = append(a.requests, strings.TrimSpace(line+" "+string(body)))
		data, known := a.answers[line]
		down := a.down
		a.mu.Unlock()
		status, msg := http.StatusOK, "OK"
		switch {
		case down:
			status, msg, data = http.StatusServiceUnavailable, "away", ""
		case !known:
			status, msg = http.StatusNotFound, "there is no such route"
		}
		envelope := map[string]any{"code": 100, "msg": msg, "data": json.RawMessage(data)}
		if data == "" {
			envelope["data"] = nil
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(envelope)
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *api) set(line, data string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers[line] = data
}

func (a *api) fail(down bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = down
}

func (a *api) got() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.requests...)
}

func (a *api) client() *remote.Client {
	return remote.New(remote.Options{Access: remote.Access{URL: a.URL, Key: "k"}, Language: "en", Agent: "test"})
}

// driver drives a model as Bubble Tea does, but for its clock.
type driver struct {
	t *testing.T
	*model
	quit bool
}

func drive(t *testing.T, a *api, width, height int) *driver {
	d := &driver{t: t, model: newModel(t.Context(), a.client(), false, func() time.Time { return noon })}
	d.Update(tea.WindowSizeMsg{Width: width, Height: height})
	d.round()
	return d
}

// round has the model ask the API once.
func (d *driver) round() { d.Update(d.ask()()) }

// keys presses keys, and runs what they begin.
func (d *driver) keys(names ...string) *driver {
	for _, name := range names {
		key := tea.Key{Text: name}
		if runes := []rune(name); len(runes) == 1 {
			key.Code = runes[0]
		}
		if code, special := map[string]rune{"enter": tea.KeyEnter, "esc": tea.KeyEsc, "tab": tea.KeyTab, "down": tea.KeyDown, "up": tea.KeyUp, "end": tea.KeyEnd, "backspace": tea.KeyBackspace, "pgdown": tea.KeyPgDown}[name]; special {
			key = tea.Key{Code: code}
		}
		if name == "ctrl+c" {
			key = tea.Key{Code: 'c', Mod: tea.ModCtrl}
		}
		_, cmd := d.Update(tea.KeyPressMsg(key))
		if cmd == nil {
			continue
		}
		switch msg := cmd().(type) {
		case tea.QuitMsg:
			d.quit = true
		default:
			d.Update(msg)
		}
	}
	return d
}

// screen is what is drawn, which always fits.
func (d *driver) screen() string {
	content := d.View().Content
	lines := strings.Split(content, "\n")
	require.LessOrEqual(d.t, len(lines), max(1, d.height))
	for _, line := range lines {
		require.LessOrEqual(d.t, show.Width(line), d.width, line)
	}
	return content
}

func TestScreens(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	d := drive(t, a, 80, 24)
	screen := d.screen()
	require.Contains(t, screen, "pending 1207  active 4  dead 2  workers 1  in 2.0/s  out 1.0/s █")
	require.Contains(t, screen, "[1 Queues] 2 Workers  3 Running  4 Failures ")
	require.Regexp(t, `(?m)^> default +1200 +4 +3 +0 +2 +70ms +1\.0`, screen)
	require.Regexp(t, `(?m)^  订单 +7 .* 5m`, screen)
	require.Regexp(t, `(?m)^> 订单`, d.keys("down").screen())
	require.Regexp(t, `(?m)^> 订单`, d.keys("j", "j", "end").screen(), "there is nothing below")
	require.Regexp(t, `(?m)^> default`, d.keys("k").screen())

	screen = d.keys("tab").screen()
	require.Contains(t, screen, "[2 Workers]")
	require.Regexp(t, `(?m)^> w-1 +vm-3 +serving +1 +8 +██░░░░░░░░ +2h +default:3 +v1`, screen)
	screen = d.keys("3").screen()
	require.Regexp(t, `(?m)^> +1m +reports\.monthly +default +w-1 +1 +9m +2 of 25 \(8%\) 2026… +month-09`, screen)
	require.Contains(t, d.keys("tab", "tab", "h").screen(), "[4 Failures]")
	require.Contains(t, d.screen(), "asking …")
	d.round()
	require.Contains(t, d.screen(), "there is no such route (404)", "neither of failures nor of a history")
	require.Equal(t, time.Second, d.pause(), "the rest is there")
	require.Contains(t, d.keys("?").screen(), "run again what failed so")
	require.Contains(t, d.keys("x").screen(), "[4 Failures]")
	require.False(t, d.quit)
	require.True(t, d.keys("q").quit)
	require.True(t, drive(t, a, 80, 24).keys("/", "ctrl+c").quit)
}

func TestEverySizeIsDrawn(t *testing.T) {
	t.Parallel()
	d := drive(t, newAPI(t), 80, 24)
	for _, size := range [][2]int{{200, 60}, {80, 24}, {79, 10}, {40, 6}, {30, 6}, {20, 3}, {1, 1}, {0, 0}} {
		d.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		for range tabs {
			d.keys("tab")
			d.screen()
			d.keys("enter").screen()
			d.keys("down", "pgdown", "esc", "?")
			d.screen()
			d.keys("esc")
		}
	}
}

func TestFilter(t *testing.T) {
	t.Parallel()
	d := drive(t, newAPI(t), 80, 24)
	screen := d.keys("/", "D", "e", "f", "x", "backspace").screen()
	require.Contains(t, screen, "/Def▏")
	require.Contains(t, screen, "default")
	require.NotContains(t, screen, "订单")
	d.keys("x", "enter")
	require.Contains(t, d.screen(), "nothing matches; esc takes the filter away")
	d.keys("esc", "/")
	d.Update(tea.PasteMsg{Content: "订\n"})
	require.Regexp(t, `(?m)^> 订单`, d.keys("enter").screen())
	require.Contains(t, d.keys("2").screen(), "w-1", "each screen has a filter of its own")
}

func TestLook(t *testing.T) {
	t.Parallel()
	d := drive(t, newAPI(t), 80, 24)
	require.Contains(t, d.keys("enter").screen(), "oldest wait")
	require.NotContains(t, d.keys("esc").screen(), "oldest wait")
	require.Contains(t, d.keys("2", "enter").screen(), "month-09")
	d.keys("esc", "3", "enter")
	require.Contains(t, d.screen(), "asking …")
	d.round()
	require.Contains(t, d.screen(), `{"month":"2026-09"}`)
	d.Update(tea.WindowSizeMsg{Width: 80, Height: 8})
	before := d.screen()
	require.NotEqual(t, before, d.keys("down", "down").screen())
	require.Equal(t, before, d.keys("up", "up", "up", "up").screen())
}

func TestPauseAsksFirst(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.set("POST /v1/queues/default/pause", `{"changed":true}`)
	a.set("POST /v1/queues/%E8%AE%A2%E5%8D%95/resume", `{"changed":true}`)
	a.set("POST /v1/workers/w-1%7Ca/pause", `{}`)
	d := drive(t, a, 80, 24)
	require.Contains(t, d.keys("p").screen(), "Pause queue default? y/n")
	require.Contains(t, d.keys("n").screen(), "nothing was done")
	before := len(a.got())
	require.Contains(t, d.keys("p", "y").screen(), "queue default: OK")
	require.Contains(t, d.keys("down", "p").screen(), "Resume queue 订单? y/n")
	d.keys("y")
	require.Contains(t, d.keys("2", "p").screen(), "Pause worker w-1? y/n")
	d.keys("y")
	require.Equal(t, []string{"POST /v1/queues/default/pause", "POST /v1/queues/%E8%AE%A2%E5%8D%95/resume", "POST /v1/workers/w-1%7Ca/pause"}, a.got()[before:])
	require.Contains(t, d.keys("3", "p").screen(), "p pauses queues and workers")
	require.Contains(t, d.keys("r").screen(), "on the screen of failures")
}

func TestRetryOfWhatFailedAlike(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.set("GET /v1/failures", `{"failures":[{"error_group":"0123456789abcdef","error":"dial: refused","count":250,"first_seen":"2026-12-01T09:00:00Z","last_seen":"2026-12-01T11:59:00Z",
		"tasks":[{"task":"sms.send","count":250}],"versions":[],"example":null}],"next_cursor":null}`)
	a.set("POST /v1/bulk", `{"id":"b-1","matched":240,"more":false,"examples":[]}`)
	d := drive(t, a, 80, 24).keys("4")
	d.round()
	require.Regexp(t, `(?m)^> +250 +1m +sms\.send +dial: refused`, d.screen())
	require.Contains(t, d.keys("enter").screen(), "0123456789abcdef")
	require.Contains(t, d.keys("esc", "r").screen(), "Retry 240 tasks that failed so? y/n")
	require.Contains(t, d.keys("y").screen(), "bulk b-1 runs: ctl bulk follow shows how far it is")
	got := a.got()
	require.Equal(t, []string{
		`POST /v1/bulk {"filter":{"state":"FAILURE","since":"2026-11-30T12:00:00Z","error_group":"0123456789abcdef"},"action":"retry","dry_run":true}`,
		`POST /v1/bulk {"filter":{"state":"FAILURE","since":"2026-11-30T12:00:00Z","error_group":"0123456789abcdef"},"action":"retry"}`,
	}, got[len(got)-2:])
}

// TestRetryOfOne is what an API can that does not group failures.
func TestRetryOfOne(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.set("GET /v1/tasks", `{"tasks":[{"id":"t-1","task":"demo.add","state":"FAILURE","error":"boom\u001b[31m","last_failed_at":"2026-12-01T11:59:00Z"}],"next_cursor":null}`)
	a.set("POST /v1/tasks/t-1/retry", `null`)
	d := drive(t, a, 80, 24).keys("4")
	d.round()
	require.Regexp(t, `(?m)^> +1 +1m +demo\.add +boom\\u001b\[31m`, d.screen())
	require.Contains(t, d.keys("r").screen(), "Retry task t-1? y/n")
	require.Contains(t, d.keys("y").screen(), "task t-1: OK")
}

// TestAnAPIThatIsAway is asked less and less often, and what was known stays.
func TestAnAPIThatIsAway(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.fail(true)
	d := drive(t, a, 80, 24)
	require.Contains(t, d.screen(), "the API has not answered yet")
	a.fail(false)
	d.round()
	a.fail(true)
	var pauses []time.Duration
	for range 7 {
		d.round()
		pauses = append(pauses, d.pause())
	}
	require.Equal(t, []time.Duration{2, 4, 8, 16, 30, 30, 30}, seconds(pauses))
	require.Contains(t, d.screen(), "away (503); next try in 30s")
	require.Contains(t, d.screen(), "default")
	a.fail(false)
	d.round()
	require.Equal(t, time.Second, d.pause())
	require.NotContains(t, d.screen(), "away")
}

func seconds(list []time.Duration) (of []time.Duration) {
	for _, d := range list {
		of = append(of, d/time.Second)
	}
	return of
}

// TestOneRoundIsUnderWay: keys ask for nothing by themselves, and the next round is due after an answer.
func TestOneRoundIsUnderWay(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	d := drive(t, a, 80, 24)
	before := len(a.got())
	d.keys("tab", "tab", "tab", "tab", "1", "2", "3", "4", "down", "enter", "esc", "/", "a", "enter")
	require.Len(t, a.got(), before)
	_, cmd := d.Update(round{})
	require.NotNil(t, cmd, "the clock")
	d.Update(tea.WindowSizeMsg{Width: 100, Height: 30})
	require.Len(t, a.got(), before)
}
