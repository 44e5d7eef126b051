package outbox

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"github.com/paidui/paidui/tasks"
)

// sweeper looks now and then at the tasks that were sent a while ago.
func (o *Outbox) sweeper(ctx context.Context) {
	timer := time.NewTimer(jittered(o.pace.sweep))
	defer timer.Stop()
	failures := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		wait := jittered(o.pace.sweep)
		more, err := o.sweep(ctx)
		switch {
		case err != nil:
			failures++
			o.logger.WarnContext(ctx, "the outbox can't look after what it has sent", "error", err, "failures", failures)
			wait = min(wait, o.pace.afterFailure(failures))
		case more: // so many that they are not seen often enough
			failures, wait = 0, wait/8
		default:
			failures = 0
		}
		timer.Reset(wait)
	}
}

// sweep looks at rows until there are none that are overdue, or there were enough; then more is true.
func (o *Outbox) sweep(ctx context.Context) (more bool, err error) {
	if err := o.client.Ping(ctx); err != nil { // before there is a transaction
		return false, err
	}
	before := o.db.NowFunc().Add(-o.pace.overdue)
	for range o.pace.sweeps {
		if ctx.Err() != nil {
			return false, nil
		}
		if more, err = o.sweepSome(ctx, before); err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

// sweepSome looks at one batch of rows that were not looked at since: rows whose tasks have ended go, tasks that Redis
// does not know are sent again.
func (o *Outbox) sweepSome(ctx context.Context, since time.Time) (more bool, err error) {
	ctx, cancel := o.within(ctx)
	defer cancel()
	var v batchResult
	err = o.locked(ctx, func(tx *gorm.DB) error {
		rows, full, err := o.lockBatch(tx.Where("sent_at < ?", since).Order("sent_at"))
		if err != nil || len(rows) == 0 {
			return err
		}
		more = full
		if v, err = o.checkSent(ctx, rows); err != nil {
			return err
		}
		return o.settle(tx, v)
	})
	if err != nil {
		return false, err
	}
	o.logResult(ctx, v)
	return more, v.err
}

// checkSent asks Redis about rows that were sent.
func (o *Outbox) checkSent(ctx context.Context, rows []row) (batchResult, error) {
	var v batchResult
	rows, messages := v.decode(rows)
	found, err := o.client.Presence(ctx, messages)
	if err != nil {
		return v, err
	}
	var lost []row
	for i, r := range rows {
		switch found[i] {
		case tasks.Ended:
			v.ended = append(v.ended, r)
		case tasks.Alive:
			v.alive = append(v.alive, r)
		case tasks.Blocked:
			v.refused = append(v.refused, refusedRow{r, errBlocked})
		default:
			lost = append(lost, r)
		}
	}
	if len(lost) > 0 {
		var again batchResult
		again.send(ctx, o.client.SendAgain, lost)
		v.resent, v.gone, v.err = again.sent, again.gone, again.err
		v.refused = append(v.refused, again.refused...)
	}
	return v, nil
}

var errBlocked = errors.New("WRONGTYPE: something else has the task's key in Redis")
