package server_test

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/api/server/servertest"
	"github.com/paidui/paidui/tasks"
)

type whyAnswer struct {
	ID, Task, Queue, State string
	Reasons                []struct {
		Code, Message, Advice, Subject, By, Error string
		Since, Until                              *time.Time
		Count                                     int
	}
}

func (s *system) why(t *testing.T, id string, more ...servertest.With) (w whyAnswer) {
	t.Helper()
	a := s.Get("/v1/tasks/"+id+"/why", more...)
	require.Equal(t, 100, a.Code, a.Msg)
	a.Into(t, &w)
	require.NotEmpty(t, w.Reasons)
	return w
}

func TestWhyOverHTTP(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*system{"redis": start(t), "embedded": startEmbedded(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := s.enqueue(t, 1)
			_, _, err := s.tasks.PauseQueue(t.Context(), "default", "alice")
			require.NoError(t, err)
			w := s.why(t, id, asOperator, inEnglish)
			require.Equal(t, []any{id, "demo.add", "default", "PENDING", 2}, []any{w.ID, w.Task, w.Queue, w.State, len(w.Reasons)})
			require.Equal(t, []string{"queue_paused", "default", "alice"}, []string{w.Reasons[0].Code, w.Reasons[0].Subject, w.Reasons[0].By})
			require.Regexp(t, `^queue default is paused since .*Z, by alice$`, w.Reasons[0].Message)
			require.Equal(t, "resume it: POST /v1/queues/default/resume", w.Reasons[0].Advice)
			require.Equal(t, "no worker that is up takes from queue default", w.Reasons[1].Message)
			require.Regexp(t, `^队列 default 已暂停，从 .*Z 起，由 alice 暂停$`, s.why(t, id, asOperator).Reasons[0].Message)
			_, err = s.tasks.ResumeQueue(t.Context(), "default")
			require.NoError(t, err)
			s.serveAdd(t, nil)
			failed := s.enqueue(t, -1)
			require.Eventually(t, func() bool { return s.why(t, failed, asOperator).State == "FAILURE" }, patience, 10*time.Millisecond)
			w = s.why(t, failed, asOperator, inEnglish)
			require.Equal(t, []string{"not_retried", "no luck"}, []string{w.Reasons[0].Code, w.Reasons[0].Error})
			require.Equal(t, "it failed with an error that is not retried: no luck", w.Reasons[0].Message)
			require.Equal(t, 404, s.Get("/v1/tasks/nobody/why", asOperator).Code)
			require.Equal(t, 401, s.Get("/v1/tasks/"+id+"/why").Code)
			require.Equal(t, 400, s.Get("/v1/tasks/"+id+"/why?x=1", asOperator).Code)

			// Of what Redis has forgotten the history knows the end.
			past := ended("past", 1, tasks.StateFailure)
			past.Error = "no luck long ago"
			s.remember(t, past)
			w = s.why(t, "past", asOperator, inEnglish)
			require.Equal(t, []string{"FAILURE", "not_retried", "no luck long ago"}, []string{w.State, w.Reasons[0].Code, w.Reasons[0].Error})
		})
	}
}

// TestEveryReasonHasWords: in both languages, and something to do unless it succeeded.
func TestEveryReasonHasWords(t *testing.T) {
	t.Parallel()
	now := time.Now()
	seen := make(map[string]string)
	for _, code := range tasks.WhyCodes() {
		for _, r := range []tasks.WhyReason{
			{Code: code},
			{Code: code, Subject: "s", Since: &now, Until: &now, By: "alice", Error: "boom", Count: 20, AtLeast: true, Workers: []string{"w1", "w2"}},
		} {
			zh, en, todoZH, todoEN := server.WhyText(r)
			require.NotEmpty(t, en, code)
			require.True(t, strings.ContainsFunc(zh, func(c rune) bool { return unicode.Is(unicode.Han, c) }), "%s: %s", code, zh)
			require.NotContains(t, zh+en+todoZH+todoEN, "%!", code)
			require.Equal(t, todoZH == "", todoEN == "", code)
			require.Equal(t, code == tasks.WhySucceeded, todoEN == "", code)
			if r.Error == "" && r.Subject == "" {
				require.NotContains(t, seen, en, code)
				seen[en] = string(code)
			}
		}
	}
	require.Len(t, seen, 22)
}
