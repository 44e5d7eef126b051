// Package show writes what the operator's commands have to say: tables that fit the terminal, times, progress, and text of
// others made harmless.
package show

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// Line makes text of others fit for one line of a terminal: line breaks and tabs become blanks, and whatever could move the
// cursor, change colours, turn the text around or hide in it is shown by its code.
func Line(text string) string {
	return clean(strings.TrimSpace(text), func(r rune) bool { return false })
}

// Lines is Line, and keeps line breaks.
func Lines(text string) string {
	return clean(strings.Trim(text, "\r\n"), func(r rune) bool { return r == '\n' })
}

func clean(text string, keep func(rune) bool) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return hidden(r) }) {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		switch {
		case keep(r), !hidden(r):
			b.WriteRune(r)
		case r == '\n' || r == '\t':
			b.WriteByte(' ')
		case r == '\r':
		case r == utf8.RuneError:
			if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
				fmt.Fprintf(&b, `\x%02x`, text[i])
				continue
			}
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// hidden tells whether a terminal does something with the rune other than showing it.
func hidden(r rune) bool {
	switch {
	case r == utf8.RuneError, unicode.IsControl(r):
		return true
	case r == 0x200d, r == 0x200c: // joiners, which emoji and scripts need
		return false
	default:
		return unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
	}
}

// Width is how many columns text takes; wide characters take two. Colours take none.
func Width(text string) int { return ansi.StringWidth(text) }

// Cut is text within a width; what is cut is told by ….
func Cut(text string, width int) string {
	if width <= 0 {
		return ""
	}
	return ansi.Truncate(text, width, "…")
}

// CutFront is Cut at the other end, for what differs at its end, as ids.
func CutFront(text string, width int) string {
	whole := Width(text)
	switch {
	case whole <= width:
		return text
	case width <= 1:
		return Cut(text, width)
	}
	for away := whole - width + 1; away < whole; away++ { // a wide character may stand across the border
		if cut := ansi.TruncateLeft(text, away, "…"); Width(cut) <= width {
			return cut
		}
	}
	return "…"
}

// Pad fills text with blanks up to a width.
func Pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-Width(text)))
}

// PadLeft is Pad with the blanks before.
func PadLeft(text string, width int) string {
	return strings.Repeat(" ", max(0, width-Width(text))) + text
}
