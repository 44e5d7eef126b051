package top

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/paidui/paidui/deploy/ctl/remote"
	"github.com/paidui/paidui/deploy/ctl/show"
)

// tab is one of the screens.
type tab int

const (
	queuesTab tab = iota
	workersTab
	runningTab
	failuresTab
	tabs // how many there are
)

var tabNames = [tabs]string{"Queues", "Workers", "Running", "Failures"}

// samples are how many rounds of a rate are kept for its sparkline.
const samples = 60

// rates are those of a queue, or of all, in tasks a second, a value a round.
type rates struct{ in, out []float64 }

func (r *rates) add(in, out int64) {
	push := func(values []float64, perMinute int64) []float64 {
		return append(values[max(0, len(values)-samples+1):], float64(perMinute)/60)
	}
	r.in, r.out = push(r.in, in), push(r.out, out)
}

// question is what was asked before an act.
type question struct {
	text string
	yes  func() tea.Cmd
}

// look is one thing, seen whole.
type look struct {
	tab tab
	key string // of its row
	top int    // the first line that is shown

	task    *remote.Task // where a task was looked at
	failure failure      // where a failure was
	err     error
}

// model is all that the screen shows.
type model struct {
	ctx    context.Context
	api    *remote.Client
	colour bool
	now    func() time.Time

	width, height int
	tab           tab
	selected      [tabs]string // the key of the row
	place         [tabs]int    // where that row was, for when it is gone
	filter        [tabs]string
	filtering     bool // the filter is being typed
	help          bool
	look          *look
	question      *question

	queues      []remote.Queue
	workers     []remote.Worker
	moreWorkers bool
	failures    []failure
	failuresAt  time.Time // when they were asked for last
	failuresErr error     // of that
	perQueue    map[string]*rates
	total       rates
	loaded      bool
	updated     time.Time

	err     error // of the last round
	failing int   // rounds that failed in a row
	said    string
	saidBad bool
	saidAt  time.Time
}

func newModel(ctx context.Context, api *remote.Client, colour bool, now func() time.Time) *model {
	return &model{ctx: ctx, api: api, colour: colour, now: now, width: 80, height: 24, perQueue: make(map[string]*rates)}
}

// Init asks for the first time.
func (m *model) Init() tea.Cmd { return m.ask() }

// Update takes what has come. The next round is due a second after an answer, so there is never more than one under way.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tick:
		return m, m.ask()
	case round:
		m.take(msg)
		return m, tea.Tick(m.pause(), func(time.Time) tea.Msg { return tick{} })
	case acted:
		m.say(msg.text, msg.err)
	case counted:
		m.askRetry(msg)
	case tea.PasteMsg:
		if m.filtering {
			m.filter[m.tab] += show.Line(msg.Content)
		}
	case tea.KeyPressMsg:
		return m, m.press(msg)
	}
	return m, nil
}

// pause is until the next round: longer and longer while the API does not answer.
func (m *model) pause() time.Duration {
	if m.failing == 0 {
		return every
	}
	return min(mostPause, every<<min(m.failing, 10))
}

// take keeps what a round has brought. What was known stays on the screen when it has failed.
func (m *model) take(r round) {
	if m.err = r.err; r.err != nil {
		m.failing++
		if m.tab == failuresTab {
			m.failuresAt = time.Time{} // they are asked for again
		}
		return
	}
	m.failing, m.loaded, m.updated = 0, true, m.now()
	m.queues, m.workers, m.moreWorkers = r.queues, r.workers, r.moreWorkers
	if r.failures != nil || r.failuresErr != nil {
		m.failuresErr = r.failuresErr
	}
	if r.failures != nil {
		m.failures = r.failures
	}
	if m.look != nil && (r.task != nil || r.taskErr != nil) && (r.task == nil || r.task.ID == m.lookedAt()) {
		m.look.err = r.taskErr
		if r.task != nil {
			m.look.task = r.task
		}
	}
	known := make(map[string]*rates, len(r.queues))
	var in, out int64
	for _, q := range r.queues {
		of := m.perQueue[q.Name]
		if of == nil {
			of = &rates{}
		}
		of.add(q.In, q.Out)
		known[q.Name] = of
		in, out = in+q.In, out+q.Out
	}
	m.perQueue = known
	m.total.add(in, out)
	m.settle()
}

// say shows a line for some seconds.
func (m *model) say(text string, err error) {
	m.said, m.saidBad, m.saidAt = text, err != nil, m.now()
	if err != nil {
		m.said = show.Line(err.Error())
	}
}

// press does what a key says.
func (m *model) press(key tea.KeyPressMsg) tea.Cmd {
	name := key.String()
	if name == "ctrl+c" {
		return tea.Quit
	}
	switch {
	case m.filtering:
		m.pressFilter(key)
		return nil
	case m.question != nil:
		asked := m.question
		m.question = nil
		if name == "y" || name == "Y" {
			return asked.yes()
		}
		m.say("nothing was done", nil)
		return nil
	case m.help:
		m.help = false
		if name == "q" {
			return tea.Quit
		}
		return nil
	case name == "q":
		return tea.Quit
	case name == "?":
		m.help = true
		return nil
	case m.look != nil:
		return m.pressLook(name)
	}
	return m.pressList(name)
}

func (m *model) pressFilter(key tea.KeyPressMsg) {
	text := &m.filter[m.tab]
	switch name := key.String(); {
	case name == "enter":
		m.filtering = false
	case name == "esc":
		m.filtering, *text = false, ""
	case name == "backspace":
		if runes := []rune(*text); len(runes) > 0 {
			*text = string(runes[:len(runes)-1])
		}
	case key.Text != "" && len(*text) < 128:
		*text += show.Line(key.Text)
		if key.Text == " " {
			*text += " "
		}
	}
	m.settle()
}

func (m *model) pressLook(name string) tea.Cmd {
	switch name {
	case "esc", "enter", "backspace", "left", "h":
		m.look = nil
	case "down", "j":
		m.look.top++
	case "up", "k":
		m.look.top--
	case "pgdown", "space":
		m.look.top += m.room()
	case "pgup":
		m.look.top -= m.room()
	case "home", "g":
		m.look.top = 0
	case "p", "r":
		if m.look.tab != m.tab || m.selected[m.tab] != m.look.key { // what would be acted on is not what is shown
			m.say("what is shown is not in the list any more: esc leads back to it", nil)
			return nil
		}
		return m.pressList(name)
	}
	return nil
}

func (m *model) pressList(name string) tea.Cmd {
	switch name {
	case "tab", "right", "l":
		return m.turn((m.tab + 1) % tabs)
	case "shift+tab", "left", "h":
		return m.turn((m.tab + tabs - 1) % tabs)
	case "1", "2", "3", "4":
		return m.turn(tab(name[0] - '1'))
	case "down", "j":
		m.move(1)
	case "up", "k":
		m.move(-1)
	case "pgdown", "space":
		m.move(m.room())
	case "pgup":
		m.move(-m.room())
	case "home", "g":
		m.move(-len(m.rows().keys))
	case "end", "G":
		m.move(len(m.rows().keys))
	case "/":
		m.filtering = true
	case "esc":
		m.filter[m.tab] = ""
		m.settle()
	case "enter":
		m.open()
	case "p":
		m.askPause()
	case "r":
		return m.retry()
	}
	return nil
}

// turn shows another screen.
func (m *model) turn(to tab) tea.Cmd {
	m.tab = to
	if to == failuresTab && m.failures == nil {
		m.failuresAt = time.Time{} // the next round asks for them
	}
	m.settle()
	return nil
}

// settle has the selection be a row that is there: the same as before, or one near where that was.
func (m *model) settle() {
	keys := m.rows().keys
	if at := slices.Index(keys, m.selected[m.tab]); at >= 0 {
		m.place[m.tab] = at
		return
	}
	m.place[m.tab] = max(0, min(m.place[m.tab], len(keys)-1))
	m.selected[m.tab] = ""
	if len(keys) > 0 {
		m.selected[m.tab] = keys[m.place[m.tab]]
	}
}

func (m *model) move(by int) {
	keys := m.rows().keys
	if len(keys) == 0 {
		return
	}
	m.place[m.tab] = max(0, min(m.place[m.tab]+by, len(keys)-1))
	m.selected[m.tab] = keys[m.place[m.tab]]
}

// open looks at the selected row.
func (m *model) open() {
	key := m.selected[m.tab]
	if key == "" {
		return
	}
	m.look = &look{tab: m.tab, key: key}
	if f, ok := m.failureOf(key); ok && m.tab == failuresTab {
		m.look.failure, m.look.task = f, f.example
	}
}

// lookedAt is the id of the task that is looked at; "" for none.
func (m *model) lookedAt() string {
	switch {
	case m.look == nil:
		return ""
	case m.look.tab == runningTab:
		return m.look.key
	case m.look.tab == failuresTab:
		return m.look.failure.taskID
	}
	return ""
}

func (m *model) queueOf(name string) (remote.Queue, bool) {
	at := slices.IndexFunc(m.queues, func(q remote.Queue) bool { return q.Name == name })
	if at < 0 {
		return remote.Queue{}, false
	}
	return m.queues[at], true
}

func (m *model) workerOf(id string) (remote.Worker, bool) {
	at := slices.IndexFunc(m.workers, func(w remote.Worker) bool { return w.ID == id })
	if at < 0 {
		return remote.Worker{}, false
	}
	return m.workers[at], true
}

func (m *model) failureOf(key string) (failure, bool) {
	at := slices.IndexFunc(m.failures, func(f failure) bool { return f.key() == key })
	if at < 0 {
		return failure{}, false
	}
	return m.failures[at], true
}

func (f failure) key() string {
	if f.group != "" {
		return f.group
	}
	return f.taskID
}

// askPause asks before it pauses or resumes a queue or a worker.
func (m *model) askPause() {
	key := m.selected[m.tab]
	switch m.tab {
	case queuesTab:
		if q, ok := m.queueOf(key); ok {
			m.askSwitch("queue "+q.Name, "queues", q.Name, q.Paused != nil)
		}
	case workersTab:
		if w, ok := m.workerOf(key); ok {
			if w.Phase == "draining" {
				m.say("worker "+show.Line(w.Name)+" drains, which can't be taken back", nil)
				return
			}
			m.askSwitch("worker "+w.Name, "workers", w.ID, w.Phase == "paused")
		}
	default:
		m.say("p pauses queues and workers, on their screens", nil)
	}
}

func (m *model) askSwitch(what, kind, name string, paused bool) {
	verb, title := "pause", "Pause"
	if paused {
		verb, title = "resume", "Resume"
	}
	what = show.Line(what)
	m.question = &question{text: title + " " + what + "?", yes: func() tea.Cmd {
		return m.post(what, remote.Request{Path: remote.Path("v1", kind, name, verb)})
	}}
}

// retry asks before it runs failed tasks again: one, or after counting them those of one kind.
func (m *model) retry() tea.Cmd {
	if m.tab != failuresTab {
		m.say("r runs failed tasks again, on the screen of failures", nil)
		return nil
	}
	f, ok := m.failureOf(m.selected[m.tab])
	switch {
	case !ok:
		return nil
	case f.group == "":
		m.question = &question{text: "Retry task " + show.Line(f.taskID) + "?", yes: func() tea.Cmd {
			return m.post("task "+show.Line(f.taskID), remote.Request{Path: remote.Path("v1", "tasks", f.taskID, "retry")})
		}}
		return nil
	}
	m.say("counting …", nil)
	return m.count(remote.BulkRequest{Action: "retry", Filter: remote.Filter{
		State: "FAILURE", ErrorGroup: f.group, Since: m.now().Add(-failureWindow).UTC().Format(time.RFC3339),
	}})
}

func (m *model) askRetry(c counted) {
	switch {
	case c.err != nil:
		m.say("", c.err)
		return
	case c.matched == 0 && !c.more:
		m.say("none of them is failed any more", nil)
		return
	}
	n := show.Count(c.matched)
	if c.more {
		n = "more than " + n
	}
	m.said = ""
	m.question = &question{text: fmt.Sprintf("Retry %s tasks that failed so?", n), yes: func() tea.Cmd { return m.bulk(c.request) }}
}

// matches tells whether a row is to be shown.
func (m *model) matches(texts ...string) bool {
	wanted := strings.ToLower(strings.TrimSpace(m.filter[m.tab]))
	if wanted == "" {
		return true
	}
	return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(strings.ToLower(text), wanted) })
}
