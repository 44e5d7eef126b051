package ticks

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Logged is how many records an entry's log has at most.
const Logged = 1000

// What became of a tick.
const (
	LogEnqueued = "enqueued"
	LogManual   = "manual"    // there was no tick: an operator had it run
	LogOverlap  = "overlap"   // left out: the task of the one before had not ended
	LogMisfire  = "misfire"   // left out by the misfire rule
	LogFailed   = "failed"    // its task can't be enqueued
	LogUnsure   = "unsettled" // a record of another build, which this one can't read
)

// Record is what became of one tick, or of several that were left out together.
type Record struct {
	Due     time.Time // the last of them
	Decided time.Time // by Redis's clock, in milliseconds
	What    string
	Ticks   int
	TaskID  string // "" without a task
}

// Ticks returns records of an entry, the newest first, from an offset on; none of an entry that is unknown or has none.
func (s *Store) Ticks(ctx context.Context, entry string, offset, limit int) ([]Record, error) {
	found, err := s.rdb.LRange(ctx, keyLog+entry, int64(offset), int64(offset+limit-1)).Result()
	if err != nil {
		return nil, fmt.Errorf("read the ticks of schedule %s: %w", entry, err)
	}
	list := make([]Record, len(found))
	for i, line := range found {
		list[i] = parseRecord(line)
	}
	return list, nil
}

func parseRecord(line string) Record {
	r := Record{What: LogUnsure, Ticks: 1}
	fields := strings.Split(line, " ")
	if len(fields) < 5 {
		return r
	}
	due, err1 := strconv.ParseInt(fields[0], 10, 64)
	at, err2 := strconv.ParseInt(fields[1], 10, 64)
	ticks, err3 := strconv.Atoi(fields[3])
	if err1 != nil || err2 != nil || err3 != nil {
		return r
	}
	r = Record{Due: time.Unix(due, 0).UTC(), Decided: time.UnixMilli(at).UTC(), What: fields[2], Ticks: ticks}
	if fields[4] != "-" {
		r.TaskID = fields[4]
	}
	return r
}
