package show

import (
	"fmt"
	"strings"
	"time"
)

// Progress shows how far something has come: as a bar that is drawn again and again on a terminal, else as a line every ten
// seconds. It is for one goroutine.
type Progress struct {
	to    Terminal
	verb  string
	total int64 // 0 when not known
	began time.Time
	last  time.Time // of a line
	drawn bool      // a bar stands there
}

// plainEvery is how long a program that is no terminal waits for the next line.
const plainEvery = 10 * time.Second

// NewProgress begins one. verb is what is done, as "purging default".
func NewProgress(to Terminal, verb string, total int64, now time.Time) *Progress {
	return &Progress{to: to, verb: Line(verb), total: total, began: now, last: now}
}

// Set shows that so many are done.
func (p *Progress) Set(done int64, note string, now time.Time) {
	switch {
	case p.to.IsErr:
		fmt.Fprint(p.to.Err, "\r\x1b[K"+Cut(p.line(done, note, now), p.width()-1))
		p.drawn = true
	case now.Sub(p.last) >= plainEvery:
		fmt.Fprintln(p.to.Err, p.line(done, note, now))
		p.last = now
	}
}

// End takes a bar away.
func (p *Progress) End() {
	if p.drawn {
		fmt.Fprint(p.to.Err, "\r\x1b[K")
		p.drawn = false
	}
}

func (p *Progress) width() int {
	if w := p.to.Width(); w > 0 {
		return w
	}
	return 80
}

const barWidth = 24

func (p *Progress) line(done int64, note string, now time.Time) string {
	var b strings.Builder
	b.WriteString(p.verb + " ")
	seconds := now.Sub(p.began).Seconds()
	if p.total > 0 {
		part := min(1, float64(done)/float64(p.total))
		if p.to.IsErr {
			full := int(part * barWidth)
			b.WriteString(strings.Repeat("█", full) + strings.Repeat("░", barWidth-full) + " ")
		}
		fmt.Fprintf(&b, "%3.0f%%  %s of %s", 100*part, Count(done), Count(p.total))
	} else {
		b.WriteString(Count(done))
	}
	if seconds >= 1 && done > 0 {
		rate := float64(done) / seconds
		fmt.Fprintf(&b, "  %s/s", Count(int64(rate)))
		if left := p.total - done; left > 0 {
			b.WriteString("  " + Duration(time.Duration(float64(left)/rate*float64(time.Second))) + " left")
		}
	}
	if note != "" {
		b.WriteString("  " + Line(note))
	}
	return b.String()
}
