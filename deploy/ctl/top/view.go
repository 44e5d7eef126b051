package top

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/paidui/paidui/deploy/ctl/describe"
	"github.com/paidui/paidui/deploy/ctl/show"
)

const (
	headLines = 2               // above the table
	footLines = 1               // below
	saidFor   = 8 * time.Second // how long a line is shown that something was done
)

// View draws the screen: two lines of what there is in all, the table or what is looked at, and a line of what to do.
func (m *model) View() tea.View {
	lines := m.head()
	body := m.height - headLines - footLines
	switch {
	case m.width < 30 || m.height < 6:
		lines = []string{"too small"}
	case m.help:
		lines = append(lines, fill(helpLines, body)...)
	case m.look != nil:
		lines = append(lines, m.lookLines(body)...)
	default:
		lines = append(lines, m.tableLines(body)...)
	}
	if m.width >= 30 && m.height >= 6 {
		lines = append(lines, m.foot())
	}
	for i, line := range lines {
		lines[i] = show.Cut(line, m.width)
	}
	view := tea.NewView(strings.Join(lines[:min(len(lines), max(1, m.height))], "\n"))
	view.AltScreen = true
	view.WindowTitle = "top of " + m.api.URL()
	return view
}

func (m *model) paint(tone show.Tone, text string) string {
	if !m.colour {
		return text
	}
	return show.Paint(tone, text)
}

// room is how many rows there is room for.
func (m *model) room() int { return max(1, m.height-headLines-footLines-1) }

func (m *model) head() []string {
	var pending, active, dead int64
	for _, q := range m.queues {
		pending, active, dead = pending+q.Pending, active+q.Active, dead+q.Dead
	}
	more := ""
	if m.moreWorkers {
		more = "+"
	}
	first := fmt.Sprintf("%s  pending %s  active %s  dead %s  workers %d%s  in %s/s  out %s/s ", m.clock(), short(pending), short(active), short(dead),
		len(m.workers), more, rate(m.total.in), rate(m.total.out))
	if room := min(samples, m.width-show.Width(first)); room > 0 {
		first += m.paint(show.Busy, strings.TrimLeft(show.Sparkline(m.total.out, room), " "))
	}
	var names []string
	for i, name := range tabNames {
		text := fmt.Sprintf(" %d %s ", i+1, name)
		if tab(i) == m.tab {
			text = m.mark(text)
		}
		names = append(names, text)
	}
	second := strings.Join(names, "")
	if filter := m.filter[m.tab]; filter != "" || m.filtering {
		second += "  /" + filter
		if m.filtering {
			second += "▏"
		}
	}
	return []string{first, second}
}

// mark shows text as chosen, also without colours.
func (m *model) mark(text string) string {
	if m.colour {
		return show.Paint(show.Marked, text)
	}
	return "[" + strings.TrimSuffix(strings.TrimPrefix(text, " "), " ") + "]"
}

func (m *model) clock() string {
	if !m.loaded {
		return "--:--:--"
	}
	return m.updated.Local().Format("15:04:05")
}

func (m *model) tableLines(height int) []string {
	r := m.rows()
	const gutter = 2 // for the mark of the selected row, which shows it without colours
	lines := r.Lines(m.width-gutter, m.paint)
	plain := r.Lines(m.width-gutter, func(_ show.Tone, text string) string { return text })
	first := max(0, min(m.place[m.tab]-(height-1)/2, len(r.keys)-(height-1)))
	out := []string{"  " + lines[0]}
	for i := first; i < len(r.keys) && len(out) < height; i++ {
		switch {
		case r.keys[i] != m.selected[m.tab]:
			out = append(out, "  "+lines[i+1])
		case m.colour:
			out = append(out, show.Paint(show.Marked, show.Pad("> "+plain[i+1], m.width)))
		default:
			out = append(out, "> "+plain[i+1])
		}
	}
	if len(r.keys) == 0 {
		out = append(out, "  "+m.paint(show.Faint, m.nothing()))
	}
	return fill(out, height)
}

// nothing says why there are no rows.
func (m *model) nothing() string {
	switch {
	case !m.loaded && m.err != nil:
		return "the API has not answered yet"
	case !m.loaded, m.tab == failuresTab && m.failures == nil:
		return "asking …"
	case m.filter[m.tab] != "":
		return "nothing matches; esc takes the filter away"
	}
	return [tabs]string{"no queue has had a task yet", "no worker is up", "nothing runs", "nothing failed within a day"}[m.tab]
}

// fill makes so many lines of those that there are.
func fill(lines []string, height int) []string {
	height = max(0, height)
	out := make([]string, height)
	copy(out, lines)
	return out
}

// lookLines are all that is known of one thing.
func (m *model) lookLines(height int) []string {
	var text bytes.Buffer
	to := show.Terminal{Out: &text, Colour: m.colour, Width: func() int { return m.width - 1 }}
	table := func(t *show.Table) {
		if len(t.Rows) > 0 {
			fmt.Fprintln(&text)
			_ = t.Print(to) // into memory
		}
	}
	l := m.look
	switch l.tab {
	case queuesTab:
		if q, ok := m.queueOf(l.key); ok {
			_ = show.PrintFields(to, describe.Queue(q, m.now())...) // into memory, as those below
			if of := m.perQueue[q.Name]; of != nil {
				fmt.Fprintf(&text, "\nin/s   %s %s\nout/s  %s %s\n", show.Sparkline(of.in, samples), rate(of.in), show.Sparkline(of.out, samples), rate(of.out))
			}
		}
	case workersTab:
		if w, ok := m.workerOf(l.key); ok {
			_ = show.PrintFields(to, describe.Worker(w, m.now())...)
			table(describe.Runs(w.Runs, m.now()))
		}
	case failuresTab:
		_ = show.PrintFields(to,
			show.Field{Name: "error", Value: l.failure.error, Tone: show.Bad},
			show.Field{Name: "group", Value: l.failure.group},
			show.Field{Name: "count", Value: show.Count(l.failure.count)},
			show.Field{Name: "tasks", Value: l.failure.tasks},
			show.Field{Name: "last", Value: show.Time(l.failure.last)},
		)
		fmt.Fprintln(&text)
	}
	switch {
	case l.err != nil:
		fmt.Fprintln(&text, show.Line(l.err.Error()))
	case l.task != nil:
		_ = show.PrintFields(to, describe.Task(*l.task, m.now())...)
		table(describe.Attempts(*l.task, m.now()))
	case l.tab == runningTab:
		fmt.Fprintln(&text, "asking …")
	}
	if text.Len() == 0 {
		fmt.Fprintln(&text, "it is gone")
	}
	lines := strings.Split(strings.TrimRight(text.String(), "\n"), "\n")
	l.top = max(0, min(l.top, len(lines)-height))
	return fill(lines[l.top:min(len(lines), l.top+height)], height)
}

var helpLines = []string{
	"",
	"  tab  1 2 3 4   another screen          enter   look at the row, whole",
	"  ↑ ↓  j k       another row             esc     back; take the filter away",
	"  pgup pgdown    a page of rows          /       show rows with a text",
	"  g G            the first, the last     q       leave",
	"",
	"  p   pause or resume the queue or the worker",
	"  r   run again what failed so, on the screen of failures",
	"",
	"  Both ask first. Rates are those of the last minute, in tasks a second.",
	"  Any key goes back.",
}

// foot is a question, what went wrong, what was done, or the keys.
func (m *model) foot() string {
	switch {
	case m.question != nil:
		return m.paint(show.Strong, m.question.text+" y/n")
	case m.err != nil:
		return m.paint(show.Bad, fmt.Sprintf("%s; next try in %s", show.Line(m.err.Error()), show.Duration(m.pause())))
	case m.tab == failuresTab && m.failuresErr != nil:
		return m.paint(show.Bad, show.Line(m.failuresErr.Error()))
	case m.said != "" && m.now().Sub(m.saidAt) < saidFor:
		if m.saidBad {
			return m.paint(show.Bad, m.said)
		}
		return m.said
	case m.filtering:
		return m.paint(show.Faint, "enter keeps the filter, esc takes it away")
	case m.look != nil:
		return m.paint(show.Faint, "esc back  ↑↓ scroll  p pause  r retry  ? help  q quit")
	}
	return m.paint(show.Faint, "tab screen  ↑↓ row  enter look  p pause  r retry  / filter  ? help  q quit")
}
