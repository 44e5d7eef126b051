package ctl

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/paidui/paidui/deploy/ctl/remote"
	"github.com/paidui/paidui/deploy/ctl/show"
)

const (
	standardWatch = 2 * time.Second
	leastWatch    = 200 * time.Millisecond
	mostWatch     = time.Hour
)

// watchFlag gives a command --watch, which its run has s.repeat do.
func watchFlag(cmd *cobra.Command) {
	cmd.Flags().DurationP("watch", "w", 0, "show it again and again, every 2s or as given with =, until Ctrl-C")
	cmd.Flags().Lookup("watch").NoOptDefVal = standardWatch.String()
}

// repeat shows something once, or with --watch until ctx ends. An API that is away for a while does not end it.
func (s *session) repeat(ctx context.Context, f func(ctx context.Context, s *session) error) error {
	if s.every == 0 {
		return f(ctx, s)
	}
	for {
		var text bytes.Buffer
		inner := *s
		inner.Out = &text
		inner.Err = &text
		err := f(ctx, &inner)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !remote.Temporary(err):
			return err
		case err != nil:
			fmt.Fprintln(&text, show.Line(err.Error()))
		}
		if err := s.redraw(text.String()); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(s.every):
		}
	}
}

// redraw puts text in the place of what the terminal shows; elsewhere it goes behind what is there.
func (s *session) redraw(text string) error {
	if !s.IsOut {
		if !s.json {
			text += "\n"
		}
		_, err := io.WriteString(s.Out, text)
		return err
	}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if room := s.Height() - 2; room > 0 && len(lines) > room {
		left := len(lines) - room + 1
		lines = append(lines[:room-1], s.Paint(show.Faint, fmt.Sprintf("… %d lines more", left)))
	}
	head := s.Paint(show.Faint, fmt.Sprintf("%s, every %s; Ctrl-C ends", s.now().Local().Format("15:04:05"), s.every))
	var b strings.Builder
	b.WriteString("\x1b[H" + head + "\x1b[K\n")
	for _, line := range lines {
		b.WriteString(line + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	_, err := io.WriteString(s.Out, b.String())
	return err
}
