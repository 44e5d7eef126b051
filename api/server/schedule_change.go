package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks/schedule"
)

var (
	msgScheduleMade     = Text{"定时任务已添加", "the schedule is added"}
	msgScheduleChanged  = Text{"定时任务已修改", "the schedule is changed"}
	msgScheduleDeleted  = Text{"定时任务已删除", "the schedule is deleted"}
	msgSchedulePaused   = Text{"定时任务已暂停", "the schedule is paused"}
	msgFilePaused       = Text{"定时任务已暂停；文件改动它后仍然暂停，文件删除它后失效", "the schedule is paused; it stays so when the file changes it, and this ends when the file drops it"}
	msgScheduleResumed  = Text{"定时任务已恢复", "the schedule runs again"}
	msgScheduleAsIs     = Text{"没有变化", "nothing has changed"}
	msgOverrideChanged  = Text{"已覆盖文件中的任务；文件改动它后只保留暂停，文件删除它后覆盖失效", "the file's schedule is overridden; a file that changes it keeps only the pause, and one that drops it ends this"}
	msgOverrideTaken    = Text{"已撤销覆盖，按文件执行", "the override is taken back: the file alone says how it runs"}
	msgScheduleTaken    = Text{"这个名称已经被占用", "the name is taken"}
	msgScheduleOfFile   = Text{"这个任务在文件中，也没有被覆盖：请在文件中删除，或者暂停它", "the schedule is the file's, and nothing of it is overridden: delete it there, or pause it"}
	msgScheduleBodyName = Text{"名称不能修改：请使用路径中的名称，或者不给", "the name can't be changed: give that of the path, or none"}
	msgTooManySchedules = Textf("表中最多 %d 个定时任务", "the table has %d schedules, which is as many as there may be", schedule.MaxEntries)
)

// entryBody is an entry as a file has it.
type entryBody struct {
	Fields map[string]jsontext.Value `json:",inline"`
}

// plain is the body as JSON that a reader of YAML takes as it is meant.
func (b entryBody) plain(without ...string) ([]byte, error) {
	values := make(map[string]any, len(b.Fields))
	for name, raw := range b.Fields {
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		var value any
		if err := dec.Decode(&value); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		values[name] = value
	}
	for _, name := range without {
		delete(values, name)
	}
	return json.Marshal(values)
}

// readEntry reads an entry from the body. stored is what the table keeps: without the pause, which has a column, and with the time zone by
// which it was read. A rule that has no tick from now on is refused.
func (s *Server) readEntry(c echo.Context, name string) (e schedule.Entry, stored string, paused *bool, err error) {
	body, err := Body[entryBody](c)
	if err != nil {
		return e, "", nil, err
	}
	if body.Fields == nil {
		body.Fields = make(map[string]jsontext.Value)
	}
	if _, given := body.Fields["name"]; name != "" && !given {
		if body.Fields["name"], err = json.Marshal(name); err != nil {
			return e, "", nil, err
		}
	}
	if _, zoned := body.Fields["timezone"]; !zoned { // schedulers may have another standard
		zone := time.UTC
		if s.Location != nil {
			zone = s.Location
		}
		if body.Fields["timezone"], err = json.Marshal(zone.String()); err != nil {
			return e, "", nil, err
		}
	}
	text, err := body.plain()
	if err != nil {
		return e, "", nil, err
	}
	if e, err = s.reader().ReadEntry(text); err != nil {
		return e, "", nil, badEntry(err)
	}
	if name != "" && e.Name != name {
		return e, "", nil, BadRequest("name", msgScheduleBodyName)
	}
	if err := stillTicks(e.Rule, body); err != nil {
		return e, "", nil, err
	}
	if _, given := body.Fields["paused"]; given {
		paused = &e.Paused
	}
	if text, err = body.plain("paused"); err != nil {
		return e, "", nil, err
	}
	return e, s.reader().Stored(e, text), paused, nil
}

// badEntry explains what is wrong with an entry.
func badEntry(err error) error {
	var invalid *schedule.LoadError
	if !errors.As(err, &invalid) {
		return err
	}
	first := invalid.Problems[0]
	return BadRequest(first.Field, Textf("定时任务不正确：%s", "the schedule is wrong: %s", first.Msg))
}

// stillTicks refuses a rule whose ticks are all over.
func stillTicks(r schedule.Rule, body entryBody) error {
	if !r.Next(time.Now()).IsZero() {
		return nil
	}
	for _, field := range []string{"at", "until"} {
		if _, given := body.Fields[field]; given {
			return BadRequest(field, Textf("%s 已经过去，不会再执行", "%s has passed: it never ticks again", field))
		}
	}
	return BadRequest("cron", Text{"从现在起不会再执行", "it never ticks from now on"})
}

// changeTime is when a change is made, by the clock that ticks go by.
func (s *Server) changeTime(ctx context.Context) time.Time {
	now, err := s.Ticks.Clock(ctx)
	if err != nil {
		now = time.Now()
	}
	return now.UTC().Truncate(time.Microsecond)
}

// mayChange is an error where schedules can't be changed.
func (s *Server) mayChange() error {
	switch {
	case s.Ticks == nil:
		return notKept(msgNoSchedules)
	case s.Schedules == nil:
		return notKept(msgNoScheduleTable)
	}
	return nil
}

// changeable returns an entry that may be changed.
func (s *Server) changeable(c echo.Context) (*scheduleView, error) {
	if err := s.mayChange(); err != nil {
		return nil, err
	}
	v, err := s.findSchedule(c.Request().Context(), pathName(c))
	if err == nil && v.Source == schedule.SourceFile && v.base == "" {
		err = &Failure{Status: http.StatusConflict, Field: "name", Msg: msgOlderSchedulers}
	}
	return v, err
}

func conflict(field string, msg Text) *Failure {
	return &Failure{Status: http.StatusConflict, Field: field, Msg: msg}
}

// edit changes a row of the table.
func (s *Server) edit(ctx context.Context, kind, name string, change func(now *schedule.Row) (*schedule.Row, error)) error {
	err := s.Schedules.Edit(ctx, kind, name, change)
	if errors.Is(err, schedule.ErrTooMany) {
		return conflict("", msgTooManySchedules)
	}
	return err
}

// answerSchedule answers an entry as it is after a change.
func (s *Server) answerSchedule(c echo.Context, name string, msg Text) error {
	v, err := s.detailed(c, name)
	if err != nil {
		return err
	}
	return Answer{Msg: msg, Data: v}.Send(c)
}

// createSchedule adds an entry to the table.
func (s *Server) createSchedule(c echo.Context) error {
	e, stored, paused, err := s.readEntry(c, "")
	if err != nil {
		return err
	}
	if err := s.mayChange(); err != nil {
		return err
	}
	if act := requestOf(c).act; act != nil { // the path does not have it
		act.Subject = e.Name
	}
	ctx := c.Request().Context()
	views, err := s.schedules(ctx)
	if err != nil {
		return err
	}
	if views[e.Name] != nil {
		return conflict("name", msgScheduleTaken)
	}
	row := schedule.Row{Entry: stored, Paused: pause(paused, false), By: actor(c), At: s.changeTime(ctx)}
	err = s.edit(ctx, schedule.KindEntry, e.Name, func(now *schedule.Row) (*schedule.Row, error) {
		if now != nil {
			return nil, conflict("name", msgScheduleTaken)
		}
		return &row, nil
	})
	if err != nil {
		return err
	}
	return s.answerSchedule(c, e.Name, msgScheduleMade)
}

func pause(given *bool, otherwise bool) *bool {
	if given == nil {
		return &otherwise
	}
	return given
}

// replaceSchedule changes an entry: the table's, or what is in force of the file's.
func (s *Server) replaceSchedule(c echo.Context) error {
	_, stored, paused, err := s.readEntry(c, pathName(c))
	if err != nil {
		return err
	}
	v, err := s.changeable(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	by, at := actor(c), s.changeTime(ctx)
	if v.Source == schedule.SourceTable {
		err = s.edit(ctx, schedule.KindEntry, v.Name, func(now *schedule.Row) (*schedule.Row, error) {
			if now == nil {
				return nil, NotFound("name", msgUnknownSchedule)
			}
			next := schedule.Row{Entry: stored, Paused: paused, By: by, At: at}
			if paused == nil {
				next.Paused = now.Paused
			}
			return &next, nil
		})
		if err != nil {
			return err
		}
		return s.answerSchedule(c, v.Name, msgScheduleChanged)
	}
	err = s.edit(ctx, schedule.KindOverride, v.Name, func(now *schedule.Row) (*schedule.Row, error) {
		next := schedule.Row{Entry: stored, Paused: paused, Base: v.base, By: by, At: at}
		switch {
		case paused != nil:
		case now != nil && now.Paused != nil:
			next.Paused = now.Paused
		case v.ownPaused:
			next.Paused = &v.ownPaused
		}
		return &next, nil
	})
	if err != nil {
		return err
	}
	return s.answerSchedule(c, v.Name, msgOverrideChanged)
}

// deleteSchedule deletes an entry of the table, or takes back what is overridden of one of the file.
func (s *Server) deleteSchedule(c echo.Context) error {
	v, err := s.changeable(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	remove := func(kind string) (was bool, err error) {
		err = s.edit(ctx, kind, v.Name, func(now *schedule.Row) (*schedule.Row, error) {
			was = now != nil
			return nil, nil
		})
		return was, err
	}
	if v.Source == schedule.SourceFile {
		was, err := remove(schedule.KindOverride)
		if err != nil {
			return err
		}
		if was {
			return Answer{Msg: msgOverrideTaken}.Send(c)
		}
	}
	was, err := remove(schedule.KindEntry)
	switch {
	case err != nil:
		return err
	case !was && v.Source == schedule.SourceFile:
		return conflict("name", msgScheduleOfFile)
	case !was:
		return NotFound("name", msgUnknownSchedule)
	}
	return Answer{Msg: msgScheduleDeleted}.Send(c)
}
