package ctl

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/paidui/paidui/deploy/ctl/remote"
	"github.com/paidui/paidui/deploy/ctl/show"
)

func (e environment) failures() *cobra.Command {
	var p paging
	var window, task, queue string
	cmd := &cobra.Command{
		Use:   "failures",
		Short: "What fails, by kinds of errors: how often, since when, which tasks",
		Args:  usage(cobra.NoArgs),
		Example: `  PROGRAM ctl failures --window 1h
  PROGRAM ctl tasks --error-group 6f1ed002ab559585
  PROGRAM ctl bulk retry --error-group 6f1ed002ab559585`,
	}
	cmd.Flags().StringVar(&window, "window", "24h", "over the last 1h, 24h or 168h")
	cmd.Flags().StringVar(&task, "task", "", "those of the task of that `name`")
	cmd.Flags().StringVar(&queue, "queue", "", "those of the queue of that `name`")
	p.flags(cmd, 20)
	watchFlag(cmd)
	cmd.RunE = e.run(func(ctx context.Context, s *session, _ []string) error {
		if window == "7d" {
			window = "168h"
		}
		return s.repeat(ctx, func(ctx context.Context, s *session) error {
			rows, next, err := gather[remote.Failures](ctx, s, "/v1/failures", "failures", values("window", window, "task", task, "queue", queue), p, 100)
			if err = s.sinceVersion(err, "failures"); err != nil || s.none("failures within "+window, len(rows), next) {
				return err
			}
			t := show.Table{Columns: []show.Column{
				{Name: "GROUP"}, {Name: "COUNT", Right: true}, {Name: "FIRST", Right: true}, {Name: "LAST", Right: true},
				{Name: "TASKS", Least: 10}, {Name: "VERSIONS", Least: 8}, {Name: "ERROR", Least: 20},
			}}
			for _, f := range rows {
				var tasks, versions []string
				for _, k := range f.Tasks {
					tasks = append(tasks, fmt.Sprintf("%s:%d", k.Task, k.Count))
				}
				for _, v := range f.Versions {
					versions = append(versions, fmt.Sprintf("%s:%d", v.Version, v.Count))
				}
				t.Add(f.ErrorGroup, show.Count(f.Count), show.Ago(f.FirstSeen, s.now()), show.Ago(f.LastSeen, s.now()),
					strings.Join(tasks, " "), strings.Join(versions, " "), show.Cell{Text: f.Error, Tone: show.Bad})
			}
			if err := s.table(&t); err != nil {
				return err
			}
			s.more(next, len(rows))
			return nil
		})
	})
	return cmd
}
