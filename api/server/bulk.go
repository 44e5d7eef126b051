package server

import (
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/bulk"
)

type bulkBody struct {
	Filter    *bulk.Filter `json:"filter"`
	Action    bulk.Action  `json:"action"`
	Terminate bool         `json:"terminate"`
	Priority  string       `json:"priority"`
	DryRun    bool         `json:"dry_run"`
}

type bulkStarted struct {
	ID     string `json:"id"`
	DryRun bool   `json:"dry_run"`
}

type bulkPreview struct {
	DryRun   bool          `json:"dry_run"`
	Matched  int           `json:"matched"`
	More     bool          `json:"more"` // there may be more than were counted
	Examples []*tasks.Info `json:"examples"`
}

type bulkRun struct {
	ID         string         `json:"id"`
	Action     bulk.Action    `json:"action"`
	Filter     bulk.Filter    `json:"filter"`
	Terminate  bool           `json:"terminate"`
	Priority   *string        `json:"priority"` // null unless the action gives one
	By         string         `json:"by"`
	State      tasks.State    `json:"state"`
	LookedAt   int64          `json:"looked_at"`
	Done       int64          `json:"done"`
	Skipped    int64          `json:"skipped"`
	Gone       int64          `json:"gone"`
	Failed     int64          `json:"failed"`
	CreatedAt  time.Time      `json:"created_at"`
	StartedAt  *time.Time     `json:"started_at"`
	FinishedAt *time.Time     `json:"finished_at"`
	Error      string         `json:"error"`
	Failures   []bulk.Failure `json:"failures"`
}

var (
	msgBulkStarted = Text{"批量操作已提交", "the bulk run is on its way"}
	msgBulkWould   = Text{"试运行：没有改变任何任务", "a dry run: nothing is changed"}
	msgNoBulk      = Text{"没有这个批量操作", "there is no such bulk run"}
	msgBulkStops   = Text{"批量操作将在当前批次之后停止", "the bulk run stops after the batch that it is at"}
	msgBulkEnded   = Text{"批量操作已经结束", "the bulk run has ended"}
)

// startBulk does something to all tasks that match a filter, or tells which ones these are.
func (s *Server) startBulk(c echo.Context) error {
	if s.Bulk == nil {
		return notKept(msgNoHistory)
	}
	b, err := Body[bulkBody](c)
	if err != nil {
		return err
	}
	if b.Filter == nil {
		return Missing("filter")
	}
	if b.Action == "" {
		return Missing("action")
	}
	ctx := c.Request().Context()
	r := bulk.Request{Filter: *b.Filter, Action: b.Action, Terminate: b.Terminate, Priority: b.Priority, By: actor(c)}
	if b.DryRun {
		p, err := s.Bulk.Preview(ctx, r)
		if err != nil {
			return err
		}
		return Answer{Msg: msgBulkWould, Data: bulkPreview{true, p.Matched, p.More, s.listed(c, p.Examples)}}.Send(c)
	}
	id, err := s.Bulk.Start(ctx, r)
	if err != nil {
		return err
	}
	return Answer{Msg: msgBulkStarted, Data: bulkStarted{ID: id}, TaskID: id}.Send(c)
}

// oneBulk tells how far a run is.
func (s *Server) oneBulk(c echo.Context) error {
	id, err := s.bulkID(c)
	if err != nil {
		return err
	}
	run, err := s.Bulk.Get(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return OK(c, newBulkRun(run))
}

// stopBulk has a run end early.
func (s *Server) stopBulk(c echo.Context) error {
	id, err := s.bulkID(c)
	if err != nil {
		return err
	}
	run, err := s.Bulk.Stop(c.Request().Context(), id)
	if err != nil {
		return err
	}
	msg := msgBulkStops
	if run.State.Final() {
		msg = msgBulkEnded
	}
	return Answer{Msg: msg, Data: newBulkRun(run)}.Send(c)
}

func (s *Server) bulkID(c echo.Context) (string, error) {
	if s.Bulk == nil {
		return "", notKept(msgNoHistory)
	}
	return pathTaskID(c)
}

func newBulkRun(r *bulk.Run) bulkRun {
	shown := bulkRun{
		ID: r.ID, Action: r.Action, Filter: r.Filter, Terminate: r.Terminate, By: r.By, State: r.State, LookedAt: r.LookedAt, Done: r.Done,
		Skipped: r.Skipped, Gone: r.Gone, Failed: r.Failed, CreatedAt: r.CreatedAt, Error: r.Error, Failures: r.Failures,
	}
	if r.Priority != "" {
		shown.Priority = &r.Priority
	}
	if !r.StartedAt.IsZero() {
		shown.StartedAt = &r.StartedAt
	}
	if !r.FinishedAt.IsZero() {
		shown.FinishedAt = &r.FinishedAt
	}
	return shown
}

// bulkFailure explains an error of package bulk, or returns nil.
func bulkFailure(err error) *Failure {
	var wrong *bulk.RequestError
	switch {
	case errors.As(err, &wrong):
		return BadRequest(wrong.Field, Textf("参数 %s 不正确：%s", "%s: %s", wrong.Field, wrong.Msg))
	case errors.Is(err, bulk.ErrNotFound):
		return &Failure{Status: http.StatusNotFound, Field: "id", Msg: msgNoBulk}
	}
	return nil
}
