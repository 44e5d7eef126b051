package main

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/paidui/paidui/tasks"
)

// ReportArgs are the arguments of MakeReport.
type ReportArgs struct {
	Month string `json:"month,omitempty"` // as 2026-11; left out, the month before this one
}

// MakeReport makes the report of a month, and returns its text. It can run any number of times: a month has one report.
var MakeReport = tasks.Define[ReportArgs, string]("report.make",
	tasks.MaxRetries(5),
	tasks.Timeout(time.Minute),
	tasks.SnoozeFor(tasks.StoreAway()), // a database that is away costs no retry
)

// Report is a row of the table reports.
type Report struct {
	Month string `gorm:"primaryKey" json:"month"`
	Body  string `json:"body"`
}

// bind gives each task its handler.
func bind(m *tasks.Mux, db *gorm.DB) {
	tasks.Handle(m, MakeReport, func(ctx context.Context, a ReportArgs) (string, error) {
		month, err := monthOf(a.Month, time.Now())
		if err != nil {
			return "", tasks.Permanent(err) // another attempt would not help
		}
		report := Report{Month: month.Format(layout), Body: "All went well in " + month.Format("January 2006") + "."}
		err = db.WithContext(ctx).Clauses(clause.OnConflict{UpdateAll: true}).Create(&report).Error
		return report.Body, err
	})
}

const layout = "2006-01"

func monthOf(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return now.UTC().AddDate(0, 0, -now.UTC().Day()), nil
	}
	month, err := time.Parse(layout, text)
	if err != nil {
		return month, fmt.Errorf("month: %q is not of the form %s", text, layout)
	}
	return month, nil
}
