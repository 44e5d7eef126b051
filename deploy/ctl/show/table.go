package show

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Column is one of a table.
type Column struct {
	Name  string
	Right bool // aligned to the right, as numbers are
	Least int  // how narrow it may get, in columns, when the table does not fit; 0: it keeps its width
	Front bool // it is cut at its front
}

// Cell is a text with a tone.
type Cell struct {
	Text string
	Tone Tone
}

// Table is rows below names. It cleans the texts of cells.
type Table struct {
	Columns []Column
	Rows    [][]Cell
}

// Add adds a row of texts and Cells; of anything else fmt.Sprint.
func (t *Table) Add(cells ...any) {
	row := make([]Cell, len(t.Columns))
	for i, c := range cells {
		switch c := c.(type) {
		case Cell:
			row[i] = Cell{Line(c.Text), c.Tone}
		case string:
			row[i] = Cell{Text: Line(c)}
		default:
			row[i] = Cell{Text: fmt.Sprint(c)}
		}
	}
	t.Rows = append(t.Rows, row)
}

const wideGap, narrowGap = 2, 1 // blanks between columns

// layout is how wide the columns are, and the blanks between them.
type layout struct {
	widths []int // 0 for a column that is left out
	gap    int
}

// fit lays the table out within a width, 0 for no bound. Columns that may get narrower give, the widest first, and then the
// gaps. Where even this does not suffice the last columns are left out.
func (t *Table) fit(most int) layout {
	l := layout{t.widths(), wideGap}
	if most <= 0 {
		return l
	}
	if over := t.shrink(l.widths, most, wideGap); over > 0 {
		l = layout{t.widths(), narrowGap}
		over = t.shrink(l.widths, most, narrowGap)
		for i := len(l.widths) - 1; i > 0 && over > 0; i-- {
			over -= l.widths[i] + narrowGap
			l.widths[i] = 0
		}
		l.widths[0] = min(l.widths[0], most)
	}
	return l
}

func (t *Table) widths() []int {
	widths := make([]int, len(t.Columns))
	for i, c := range t.Columns {
		widths[i] = Width(c.Name)
		for _, row := range t.Rows {
			widths[i] = max(widths[i], Width(row[i].Text))
		}
	}
	return widths
}

// shrink narrows the columns that may, and tells by how much the table is still too wide.
func (t *Table) shrink(widths []int, most, gap int) (over int) {
	over = gap*(len(widths)-1) - most
	for _, w := range widths {
		over += w
	}
	for over > 0 {
		widest := -1
		for i, c := range t.Columns {
			if c.Least > 0 && widths[i] > max(c.Least, Width(c.Name)) && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return over
		}
		widths[widest]--
		over--
	}
	return over
}

// Lines are the table's, the names first; paint gives texts their tones.
func (t *Table) Lines(most int, paint func(Tone, string) string) []string {
	fitted := t.fit(most)
	names := make([]Cell, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = Cell{c.Name, Strong}
	}
	lines := make([]string, 0, len(t.Rows)+1)
	for _, row := range slices.Concat([][]Cell{names}, t.Rows) {
		lines = append(lines, t.line(row, fitted, paint))
	}
	return lines
}

func (t *Table) line(row []Cell, l layout, paint func(Tone, string) string) string {
	var b strings.Builder
	blanks := 0 // that are due before the next text
	for i, cell := range row {
		width := l.widths[i]
		if width == 0 && i > 0 {
			continue
		}
		cut := Cut
		if t.Columns[i].Front {
			cut = CutFront
		}
		text := cut(cell.Text, width)
		before, after := 0, width-Width(text)
		if t.Columns[i].Right {
			before, after = after, before
		}
		if blanks += before; text != "" {
			b.WriteString(strings.Repeat(" ", blanks) + paint(cell.Tone, text))
			blanks = 0
		}
		blanks += after + l.gap
	}
	return b.String()
}

// Print writes the table.
func (t *Table) Print(to Terminal) error {
	for _, line := range t.Lines(to.Width(), to.Paint) {
		if _, err := io.WriteString(to.Out, line+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// Field is a name with a value of one thing.
type Field struct {
	Name  string
	Value string
	Tone  Tone
}

// PrintFields writes one thing, a line a field; lines of long values are wrapped below each other. Fields without a value are
// left out.
func PrintFields(to Terminal, fields ...Field) error {
	widest := 0
	for _, f := range fields {
		if f.Value != "" {
			widest = max(widest, Width(f.Name))
		}
	}
	for _, f := range fields {
		if f.Value == "" {
			continue
		}
		room := 0
		if w := to.Width(); w > 0 {
			room = max(20, w-widest-wideGap)
		}
		for i, line := range Wrap(Lines(f.Value), room) {
			name := ""
			if i == 0 {
				name = f.Name
			}
			if _, err := io.WriteString(to.Out, to.Paint(Faint, Pad(name, widest))+"  "+to.Paint(f.Tone, line)+"\n"); err != nil {
				return err
			}
		}
	}
	return nil
}
