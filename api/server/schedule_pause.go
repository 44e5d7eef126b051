package server

import (
	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks/schedule"
)

func (s *Server) pauseSchedule(c echo.Context) error { return s.setPaused(c, true, msgSchedulePaused) }
func (s *Server) resumeSchedule(c echo.Context) error {
	return s.setPaused(c, false, msgScheduleResumed)
}

// setPaused pauses or resumes an entry.
func (s *Server) setPaused(c echo.Context, paused bool, msg Text) error {
	v, err := s.changeable(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	by, at := actor(c), s.changeTime(ctx)
	kind := schedule.KindEntry
	if v.Source == schedule.SourceFile {
		kind = schedule.KindOverride
		if paused {
			msg = msgFilePaused
		}
	}
	changed := false
	err = s.edit(ctx, kind, v.Name, func(now *schedule.Row) (*schedule.Row, error) {
		changed = false
		if kind == schedule.KindEntry {
			if now == nil {
				return nil, NotFound("name", msgUnknownSchedule)
			}
			if now.Paused != nil && *now.Paused == paused {
				return now, nil
			}
			changed = true
			next := *now
			next.Paused, next.By, next.At = &paused, by, at
			return &next, nil
		}
		next := overridePause(v, now, paused)
		if next != nil && now != nil && next.Paused == now.Paused {
			return now, nil
		}
		changed = next != nil || now != nil
		if next != nil {
			next.By, next.At = by, at
		}
		return next, nil
	})
	if err != nil {
		return err
	}
	if !changed {
		msg = msgScheduleAsIs
	}
	return s.answerSchedule(c, v.Name, msg)
}

// overridePause is the row of an entry of the file with another pause: now itself, when it has that pause; nil, when there is nothing left to
// override.
func overridePause(v *scheduleView, now *schedule.Row, paused bool) *schedule.Row {
	is := v.ownPaused
	next := schedule.Row{Base: v.base}
	if now != nil {
		next = *now
		if next.Paused != nil {
			is = *next.Paused
		}
		if next.Entry == "" {
			next.Base = v.base
		}
	}
	if is == paused {
		return now
	}
	next.Paused = &paused
	if next.Entry == "" && paused == v.ownPaused {
		return nil
	}
	return &next
}
