package top

import (
	"context"
	"net/http"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/paidui/paidui/deploy/ctl/remote"
	"github.com/paidui/paidui/deploy/ctl/show"
)

const (
	every         = time.Second // between rounds
	mostPause     = 30 * time.Second
	failuresEvery = 5 * time.Second
	failureWindow = 24 * time.Hour
	roundTimeout  = 10 * time.Second
	workerPages   = 5 // of 100
)

// round is what one round of questions has brought.
type round struct {
	queues      []remote.Queue
	workers     []remote.Worker
	moreWorkers bool
	failures    []failure // nil when they were not asked for
	failuresErr error
	task        *remote.Task
	taskErr     error
	err         error
}

// tick says that it is time for a round.
type tick struct{}

// acted is what has come of an act.
type acted struct {
	text string
	err  error
}

// counted is how many tasks a retry is about.
type counted struct {
	matched int64
	more    bool
	request remote.BulkRequest
	err     error
}

// failure is a row of the screen of failures: failures of one kind, or of an API that does not group them one task.
type failure struct {
	group   string
	taskID  string
	error   string
	count   int64
	last    *time.Time
	tasks   string
	example *remote.Task
}

// ask makes a round. What it asks for is settled when it begins.
func (m *model) ask() tea.Cmd {
	ctx, api, withFailures, task := m.ctx, m.api, m.tab == failuresTab && m.now().Sub(m.failuresAt) >= failuresEvery, m.lookedAt()
	if withFailures {
		m.failuresAt = m.now()
	}
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(ctx, roundTimeout)
		defer cancel()
		return askRound(ctx, api, withFailures, task)
	}
}

func askRound(ctx context.Context, api *remote.Client, withFailures bool, task string) (r round) {
	var queues struct {
		Queues []remote.Queue `json:"queues"`
	}
	if r.err = api.Get(ctx, "/v1/queues", map[string][]string{"limit": {"1000"}}, &queues); r.err != nil {
		return r
	}
	r.queues = queues.Queues
	cursor := ""
	for page := range workerPages {
		var workers struct {
			Workers []remote.Worker `json:"workers"`
			Next    *string         `json:"next_cursor"`
		}
		query := map[string][]string{"limit": {"100"}}
		if cursor != "" {
			query["cursor"] = []string{cursor}
		}
		if r.err = api.Get(ctx, "/v1/workers", query, &workers); r.err != nil {
			return r
		}
		r.workers = append(r.workers, workers.Workers...)
		if workers.Next == nil {
			break
		}
		cursor, r.moreWorkers = *workers.Next, page == workerPages-1
	}
	if withFailures {
		r.failures, r.failuresErr = askFailures(ctx, api)
	}
	if task != "" {
		var k remote.Task
		if r.taskErr = api.Get(ctx, remote.Path("v1", "tasks", task), nil, &k); r.taskErr == nil {
			r.task = &k
		}
	}
	return r
}

// askFailures returns a list that is not nil. An API of an earlier version does not group failures.
func askFailures(ctx context.Context, api *remote.Client) ([]failure, error) {
	list := []failure{}
	var grouped struct {
		Failures []remote.Failures `json:"failures"`
	}
	err := api.Get(ctx, "/v1/failures", map[string][]string{"window": {"24h"}, "limit": {"100"}}, &grouped)
	if err == nil {
		for _, g := range grouped.Failures {
			f := failure{group: g.ErrorGroup, error: g.Error, count: g.Count, last: g.LastSeen, example: g.Example}
			for i, k := range g.Tasks {
				if i > 0 {
					f.tasks += " "
				}
				f.tasks += k.Task
			}
			if g.Example != nil {
				f.taskID = g.Example.ID
			}
			list = append(list, f)
		}
		return list, nil
	}
	switch {
	case remote.IsStatus(err, http.StatusNotImplemented): // there is no history
		return list, nil
	case !remote.IsStatus(err, http.StatusNotFound):
		return nil, err
	}
	var single struct {
		Tasks []remote.Task `json:"tasks"`
	}
	err = api.Get(ctx, "/v1/tasks", map[string][]string{"state": {"FAILURE"}, "limit": {"100"}}, &single)
	switch {
	case remote.IsStatus(err, http.StatusNotImplemented):
		return list, nil
	case err != nil:
		return nil, err
	}
	for _, k := range single.Tasks {
		list = append(list, failure{taskID: k.ID, error: k.Error, count: 1, last: k.FailedAt, tasks: k.Task, example: &k})
	}
	return list, nil
}

// post tells the API something, and what it has answered.
func (m *model) post(done string, r remote.Request) tea.Cmd {
	ctx, api := m.ctx, m.api
	r.Method = http.MethodPost
	return func() tea.Msg {
		a, err := api.Do(ctx, r)
		if err != nil {
			return acted{err: err}
		}
		if a.Msg != "" {
			done += ": " + a.Msg
		}
		return acted{text: done}
	}
}

// count asks how many tasks a bulk is about.
func (m *model) count(r remote.BulkRequest) tea.Cmd {
	ctx, api := m.ctx, m.api
	return func() tea.Msg {
		dry := r
		dry.DryRun = true
		a, err := api.Do(ctx, remote.Request{Method: http.MethodPost, Path: "/v1/bulk", Body: dry})
		var d remote.DryRun
		if err == nil {
			err = a.Decode(&d)
		}
		return counted{d.Matched, d.More, r, err}
	}
}

// bulk begins one.
func (m *model) bulk(r remote.BulkRequest) tea.Cmd {
	ctx, api := m.ctx, m.api
	return func() tea.Msg {
		a, err := api.Do(ctx, remote.Request{Method: http.MethodPost, Path: "/v1/bulk", Body: r})
		var made struct {
			ID string `json:"id"`
		}
		if err == nil {
			err = a.Decode(&made)
		}
		return acted{text: "bulk " + show.Line(made.ID) + " runs: ctl bulk follow shows how far it is", err: err}
	}
}
