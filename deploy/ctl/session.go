package ctl

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/paidui/paidui/deploy/ctl/remote"
	"github.com/paidui/paidui/deploy/ctl/show"
)

// session is what one run of a command works with.
type session struct {
	show.Terminal
	api     *remote.Client
	json    bool
	yes     bool          // what destroys was agreed to
	every   time.Duration // of --watch; 0 for once
	program string        // as it is called, for advice: "paidui ctl"
	now     func() time.Time
}

func (e environment) open(cmd *cobra.Command) (*session, error) {
	s := &session{Terminal: e.terminal(cmd), now: e.now, program: cmd.Root().Name() + " ctl"}
	s.json, _ = cmd.Flags().GetBool("json")
	s.yes, _ = cmd.Flags().GetBool("yes")
	if f := cmd.Flags().Lookup("watch"); f != nil && f.Changed && f.Value.Type() == "duration" {
		s.every, _ = cmd.Flags().GetDuration("watch")
		if s.every < leastWatch || s.every > mostWatch {
			return nil, remote.UsageErrorf("--watch: %s is not between %s and %s", s.every, leastWatch, mostWatch)
		}
	}
	var err error
	s.api, err = e.client(cmd)
	return s, err
}

// failedError is an error with an exit code of its own; without a text it has nothing to tell but that.
type failedError struct {
	text   string
	status int
}

func (e *failedError) Error() string   { return e.text }
func (e *failedError) ExitStatus() int { return e.status }

func failed(status int, format string, args ...any) error {
	return &failedError{fmt.Sprintf(format, args...), status}
}

// say writes a line of what was asked for.
func (s *session) say(format string, args ...any) error {
	_, err := fmt.Fprintf(s.Out, format+"\n", args...)
	return err
}

// note writes a line beside what was asked for.
func (s *session) note(format string, args ...any) { fmt.Fprintf(s.Err, format+"\n", args...) }

// printJSON writes data as it came, on one line. What a terminal would not show but obey is escaped, which is the same JSON.
func (s *session) printJSON(data json.RawMessage) error {
	text := strings.TrimSpace(string(data))
	if s.IsOut {
		text = escapeHidden(text)
	}
	_, err := io.WriteString(s.Out, text+"\n")
	return err
}

// escapeHidden writes characters by their codes that JSON takes as they are, and terminals act upon.
func escapeHidden(text string) string {
	hidden := func(r rune) bool {
		return r >= 0x7f && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) && r <= 0xffff
	}
	if !strings.ContainsFunc(text, hidden) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if hidden(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// madeTask is what --json prints where a task was made, for such answers have no data.
type madeTask struct {
	TaskID   string           `json:"task_id"`
	Made     bool             `json:"made"` // false: it was there already
	Warnings []remote.Warning `json:"warnings,omitempty"`
}

// act sends a request that changes something, and prints the answer's data with --json.
func (s *session) act(ctx context.Context, path string, body any) (remote.Answer, error) {
	return s.request(ctx, remote.Request{Method: http.MethodPost, Path: path, Body: body})
}

func (s *session) request(ctx context.Context, r remote.Request) (remote.Answer, error) {
	a, err := s.api.Do(ctx, r)
	if err == nil && s.json {
		err = s.printJSON(a.Data)
	}
	return a, err
}

// sinceVersion tells that an API has no such route, which an earlier one has not.
func (s *session) sinceVersion(err error, what string) error {
	if remote.IsStatus(err, http.StatusNotFound) {
		return failed(remote.ExitNotFound, "the API at %s has no %s: it is of an earlier version", s.api.URL(), what)
	}
	return err
}

// table prints one unless --json has printed already.
func (s *session) table(t *show.Table) error {
	if s.json {
		return nil
	}
	return t.Print(s.Terminal)
}

// confirm asks before what can't be taken back, unless --yes has agreed.
func (s *session) confirm(ctx context.Context, question string) error {
	if s.yes {
		return nil
	}
	if !s.IsIn {
		return remote.UsageErrorf("%s Nobody can be asked, for the input is not a terminal: agree with --yes", question)
	}
	fmt.Fprintf(s.Err, "%s [y/N] ", question)
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(io.LimitReader(s.In, 1024)).ReadString('\n')
		answer <- line
	}()
	select {
	case <-ctx.Done():
		s.note("")
		return failed(remote.ExitInterrupted, "nothing was done")
	case line := <-answer:
		switch strings.ToLower(strings.TrimSpace(line)) {
		case "y", "yes", "是":
			return nil
		}
		return failed(remote.ExitFailed, "nothing was done")
	}
}

// each does something to every subject, tells of those that failed, and goes on. The error has the exit code of the first.
func (s *session) each(ctx context.Context, subjects []string, f func(subject string) error) error {
	if len(subjects) == 1 {
		return f(subjects[0])
	}
	var first error
	wrong := 0
	for _, subject := range subjects {
		err := f(subject)
		if ctx.Err() != nil {
			return err
		}
		if err != nil {
			if wrong++; first == nil {
				first = err
			}
			s.note("%s: %s", show.Line(subject), err)
		}
	}
	if first == nil {
		return nil
	}
	status := remote.ExitFailed
	var coded interface{ ExitStatus() int }
	if errors.As(first, &coded) {
		status = coded.ExitStatus()
	}
	return failed(status, "%d of %d failed", wrong, len(subjects))
}
