package show

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Terminal is where a command writes.
type Terminal struct {
	Out    io.Writer // what was asked for
	Err    io.Writer // progress, questions, notes
	In     io.Reader
	Width  func() int // of Out in columns; 0 for no bound, where it is not a terminal
	Height func() int // of Out in lines; 0 likewise
	IsOut  bool       // Out is a terminal
	IsErr  bool
	IsIn   bool
	Colour bool
}

// Open finds out what the program's streams are. lookup is as os.LookupEnv.
func Open(in io.Reader, out, err io.Writer, lookup func(string) (string, bool)) Terminal {
	t := Terminal{Out: out, Err: err, In: in, Width: func() int { return 0 }, Height: func() int { return 0 }}
	t.IsErr, _ = isTerminal(err)
	t.IsIn, _ = isTerminal(in)
	var fd int
	if t.IsOut, fd = isTerminal(out); t.IsOut {
		t.Width = func() int { width, _ := size(fd); return width }
		t.Height = func() int { _, height := size(fd); return height }
	}
	t.Colour = t.IsOut && Colourful(lookup)
	return t
}

// Colourful tells whether the environment lets programs use colours: https://no-color.org
func Colourful(lookup func(string) (string, bool)) bool {
	noColour, _ := lookup("NO_COLOR")
	kind, _ := lookup("TERM")
	return noColour == "" && kind != "dumb"
}

// size is a terminal's, or what most have.
func size(fd int) (width, height int) {
	width, height, err := term.GetSize(fd)
	if err != nil || width <= 0 || height <= 0 {
		return 80, 24
	}
	return width, height
}

func isTerminal(stream any) (bool, int) {
	file, ok := stream.(*os.File)
	if !ok {
		return false, 0
	}
	return term.IsTerminal(int(file.Fd())), int(file.Fd())
}

// A Tone is what a text is to look like.
type Tone string

// Tones. Plain changes nothing.
const (
	Plain  Tone = ""
	Good   Tone = "32"
	Busy   Tone = "36"
	Wait   Tone = "33"
	Bad    Tone = "31"
	Faint  Tone = "2"
	Strong Tone = "1"
	Marked Tone = "7"
)

// Paint gives text a tone where colours are wanted.
func (t Terminal) Paint(tone Tone, text string) string {
	if !t.Colour {
		return text
	}
	return Paint(tone, text)
}

// Paint gives text a tone.
func Paint(tone Tone, text string) string {
	if tone == Plain || text == "" {
		return text
	}
	return "\x1b[" + string(tone) + "m" + text + "\x1b[0m"
}

// ToneOf is the tone of a state or a phase.
func ToneOf(state string) Tone {
	switch state {
	case "SUCCESS", "serving", "done":
		return Good
	case "STARTED", "PROGRESS":
		return Busy
	case "PENDING", "RETRY", "paused", "draining", "begun":
		return Wait
	case "FAILURE", "LOST", "refused", "failed":
		return Bad
	case "REVOKED":
		return Faint
	default:
		return Plain
	}
}
