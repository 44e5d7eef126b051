package beat_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"testing/fstest"
	"time"

	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/scheduler/beat"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/ticks"
)

type reportArgs struct {
	Kind string `json:"kind"`
}

var report = tasks.Define[reportArgs, string]("example.report")

// Schedules are YAML, which a program may have as text, in an fs.FS such as an embed.FS, or make of its code. A file that
// is to be watched is Options.Path instead.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	redis, err := embedded.Start(ctx) // or the URL of a Redis of yours
	check(err)
	defer redis.Close()
	b, err := broker.Open(ctx, redis.URL(0), broker.Options{})
	check(err)
	defer b.Close()
	catalog, err := tasks.NewCatalog(report)
	check(err)

	text := []byte("schedules:\n  - {name: weekly, task: example.report, args: {kind: week}, cron: \"0 8 * * 1\"}\n")
	files := fstest.MapFS{"schedules.yaml": {Data: []byte("schedules:\n  - {name: hourly, task: example.report, args: {kind: hour}, every: 1h}\n")}}
	ofFile, err := fs.ReadFile(files, "schedules.yaml")
	check(err)
	ofCode, err := beat.Content(beat.Entry{Name: "often", Task: report.Name(), Args: reportArgs{Kind: "second"}, Every: time.Second})
	check(err)
	for _, content := range [][]byte{text, ofFile, ofCode} {
		scheduler, err := beat.New(beat.Options{
			Content: content, Catalog: catalog, Client: tasks.NewClient(b), Redis: b.Redis(), Logger: slog.New(slog.DiscardHandler),
		})
		check(err)
		if string(content) != string(ofCode) {
			continue
		}
		running, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- scheduler.Run(running) }()
		look := time.NewTicker(20 * time.Millisecond)
		for last := (time.Time{}); last.IsZero(); <-look.C { // until a tick is enqueued, which a worker would run
			last, err = ticks.NewStore(b.Redis()).LastSettled(ctx, "often")
			check(err)
		}
		look.Stop()
		stop()
		check(<-ended)
	}
	fmt.Println("enqueued")

	_, err = beat.New(beat.Options{
		Content: []byte("schedules:\n  - {name: a, task: example.raport, every: 1h}\n"), Catalog: catalog, Client: tasks.NewClient(b), Redis: b.Redis(),
	})
	fmt.Println(err != nil)
	// Output:
	// enqueued
	// true
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
