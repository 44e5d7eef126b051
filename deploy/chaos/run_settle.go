package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/paidui/paidui/models"
)

// patience is how long all may take to become quiet after the last fault. Tasks that died several times with their
// workers wait for minutes, by design.
const patience = 5 * time.Minute

// settler waits until nothing that was accepted is under way.
type settler struct {
	lab    *lab
	book   *book
	healed time.Time
	wiped  bool
	tasks  []string // that have not ended, as far as is known
	places []string // tickets that have no final answer
}

// settle returns what is still under way when patience is at its end; nothing as a rule.
func settle(ctx context.Context, l *lab, b *book, e *evidence) (restless []string, err error) {
	s := &settler{lab: l, book: b, healed: e.Healed, wiped: len(e.Wipes) > 0}
	for _, t := range b.tickets {
		s.places = append(s.places, t.TaskID)
	}
	now, err := readQueues(ctx, l.broker)
	if err != nil {
		return nil, err
	}
	s.tasks = now.openIDs()
	quiet := 0
	for deadline := time.Now().Add(patience); ; {
		if restless, err = s.restless(ctx); err != nil || time.Now().After(deadline) {
			return restless, err
		}
		if quiet++; len(restless) > 0 {
			quiet, e.LastRestless = 0, restless[len(restless)-1]
		}
		if quiet == 2 { // what one task's end makes may not have been there the first time
			return nil, nil
		}
		if !pause(ctx, time.Second) {
			return nil, context.Cause(ctx)
		}
	}
}

// restless says what is under way.
func (s *settler) restless(ctx context.Context) (all []string, err error) {
	now, err := readQueues(ctx, s.lab.broker)
	if err != nil {
		return nil, err
	}
	s.tasks = slices.DeleteFunc(s.tasks, func(id string) bool { return !now.open(id) })
	for _, id := range s.tasks {
		all = append(all, fmt.Sprintf("task %s, in the lists %v", id, now.where[id]))
	}
	s.places = slices.DeleteFunc(s.places, func(id string) bool {
		o := outcomeOf(s.lab.clients.send(ctx, nil, ask{method: http.MethodGet, path: "/v1/seckill?task_id=" + url.QueryEscape(id)}))
		return o.Status != 0 && o.Status < 500 && o.Status != http.StatusTooManyRequests && o.Code != 102 && o.Code != 103
	})
	for _, id := range s.places {
		all = append(all, "ticket "+id)
	}
	for _, sale := range s.book.sales {
		n, err := s.lab.broker.HLen(ctx, fmt.Sprintf("paidui:{seckill:%d}:pending", sale.GoodsID)).Result()
		if err != nil {
			return nil, err
		}
		if n > 0 {
			all = append(all, fmt.Sprintf("%d reservations of goods %d", n, sale.GoodsID))
		}
	}
	if last := lastTick(now.where, tickAll); last < s.healed.Unix() {
		all = append(all, fmt.Sprintf("schedule %s, whose last tick is of %s", tickAll, time.Unix(last, 0).UTC()))
	}
	rows, err := s.outbox(ctx)
	if err != nil {
		return nil, err
	}
	open, err := s.records(ctx)
	if err != nil {
		return nil, err
	}
	late, err := s.durable(ctx)
	return slices.Concat(all, rows, open, late), err
}

// outbox are the rows that wait for being sent; after a wipe all that are older than the end of it, which may have to be
// sent again.
func (s *settler) outbox(ctx context.Context) (all []string, err error) {
	var rows []models.OutboxRow
	find := s.lab.db.WithContext(ctx).Where("created_at < ?", s.healed).Where("failed_at IS NULL")
	if !s.wiped {
		find = find.Where("sent_at IS NULL")
	}
	if err := find.Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read the outbox: %w", err)
	}
	for _, row := range rows {
		all = append(all, fmt.Sprintf("outbox row of task %s", row.TaskID))
	}
	return all, nil
}

// records are those of the history that have not ended, though they are of before the end of the faults.
func (s *settler) records(ctx context.Context) (all []string, err error) {
	var rows []models.TaskRecord
	err = s.lab.db.WithContext(ctx).Select("task_id", "state").
		Where("created_at < ? AND state IN ?", s.healed, []string{"PENDING", "STARTED", "PROGRESS", "RETRY"}).Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	for _, r := range rows {
		all = append(all, fmt.Sprintf("record of task %s, %s", r.TaskID, r.State))
	}
	return all, nil
}

// durable tells when ticks that are durable have not been made up for yet.
func (s *settler) durable(ctx context.Context) (late []string, err error) {
	var ids []string
	err = s.lab.db.WithContext(ctx).Model(&models.TaskRecord{}).Where("task_id LIKE ?", tickDurable+"@%").Pluck("task_id", &ids).Error
	if err != nil {
		return nil, fmt.Errorf("read the history's ticks: %w", err)
	}
	last := int64(0)
	for _, id := range ids {
		_, at := parseTick(id)
		last = max(last, at)
	}
	if last < s.healed.Unix() {
		late = append(late, fmt.Sprintf("schedule %s, whose last tick is of %s", tickDurable, time.Unix(last, 0).UTC()))
	}
	return late, nil
}

// reconcile runs the tasks that compare Redis with the database.
func reconcile(ctx context.Context, l *lab) (results []string, err error) {
	for _, name := range []string{"seckill.reconcile", "refresh.counters", "refresh.followings"} {
		a := l.clients.send(ctx, nil, ask{method: http.MethodPost, path: "/v1/tasks", bearer: operatorKey, body: map[string]any{"task": name}})
		if a.TaskID == "" {
			return results, fmt.Errorf("enqueue %s: status %d %s (%w)", name, a.status, a.Msg, a.err)
		}
		t := task{}
		for deadline := time.Now().Add(3 * time.Minute); !final(t.State); {
			if t, err = taskOf(l.get(ctx, "", "/v1/tasks/"+url.PathEscape(a.TaskID)+"?wait=10s", operatorKey)); err != nil {
				return results, fmt.Errorf("follow %s: %w", name, err)
			}
			if time.Now().After(deadline) {
				break
			}
		}
		if t.State != stateSuccess {
			return results, fmt.Errorf("%s does not succeed: %s", name, t)
		}
		results = append(results, name+" "+compact(t.Result))
	}
	return results, nil
}

// trouble is what no log should have.
var trouble = regexp.MustCompile(`DATA RACE|^panic:|^fatal error:|"?(msg|error)"?[:=]"?[^"]*(runtime error|nil pointer)`)

// succeeded is how a worker's log tells the end of a durable tick's task.
var succeeded = regexp.MustCompile(`"msg":"task succeeded".*"task_id":"(` + tickDurable + `@[^"]+)"`)

// readLogs returns the lines of trouble in the programs' logs, and the durable ticks whose tasks have succeeded. A worker
// that is killed right after that leaves no other trace of it.
func readLogs(l *lab) (found, ran []string, err error) {
	for _, p := range l.programs {
		raw, err := os.ReadFile(p.logFile)
		if err != nil {
			return found, ran, err
		}
		for line := range strings.Lines(string(raw)) {
			if trouble.MatchString(line) {
				found = append(found, p.name+": "+strings.TrimSpace(line))
			}
			if id := succeeded.FindStringSubmatch(line); id != nil {
				ran = append(ran, id[1])
			}
		}
	}
	return found, ran, nil
}
