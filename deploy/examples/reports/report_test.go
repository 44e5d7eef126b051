package main

import (
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

// open gives a test a database in memory that has the tables.
func open(t *testing.T) *gorm.DB {
	t.Helper()
	db, err := models.Open(t.Context(), "sqlite://:memory:", models.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = models.Close(db) })
	if err := app().Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	return db
}

func TestAReportIsMadeOnce(t *testing.T) {
	db := open(t)
	q := taskstest.New(t, taskstest.Config{Bind: func(m *tasks.Mux, _ *tasks.Client) { bind(m, db) }}) // handlers run inline
	for range 2 {
		res, err := MakeReport.Enqueue(t.Context(), q.Client, ReportArgs{Month: "2026-11"})
		if err != nil {
			t.Fatal(err)
		}
		body, err := res.Get(t.Context())
		if err != nil || body != "All went well in November 2026." {
			t.Fatalf("got %q, %v", body, err)
		}
	}
	var rows int64
	if err := db.Model(&Report{}).Count(&rows).Error; err != nil || rows != 1 {
		t.Fatalf("%d reports, %v", rows, err)
	}
}

func TestAMonthThatIsNone(t *testing.T) {
	db := open(t)
	q := taskstest.New(t, taskstest.Config{Bind: func(m *tasks.Mux, _ *tasks.Client) { bind(m, db) }})
	res, err := MakeReport.Enqueue(t.Context(), q.Client, ReportArgs{Month: "someday"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := res.Get(t.Context()); err == nil {
		t.Fatal("it was made")
	}
}

func TestTheMonthBefore(t *testing.T) {
	month, err := monthOf("", time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC))
	if err != nil || month.Format(layout) != "2026-02" {
		t.Fatalf("got %v, %v", month, err)
	}
}
