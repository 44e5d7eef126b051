package main

import (
	"slices"
	"time"
)

func checkCalls(b *book, e *evidence) []string {
	var c complaints
	for _, k := range b.calls {
		now, found := e.Tasks[k.ID]
		at := k.At.UTC().Format(clock)
		switch {
		case !found && (k.Verdict != accepted || e.excused(k)):
		case !found && k.Parent != "" && e.parentEndedOtherwise(k):
		case !found:
			c.add("%s task %s, accepted at %s, is not there", k.Variant, k.ID, at)
		case e.excused(k) && now.State == "LOST":
		case !slices.Contains(k.Ends, now.State):
			c.add("%s task %s, accepted at %s, should end in %v: %s", k.Variant, k.ID, at, k.Ends, now)
		case now.State == stateSuccess && compact(now.Result) != k.Want:
			c.add("%s task %s, accepted at %s, should have the result %s: %s", k.Variant, k.ID, at, k.Want, now)
		case now.succeeded() > 1:
			c.add("%s task %s, accepted at %s, has succeeded more than once: %s", k.Variant, k.ID, at, now)
		case k.Revoked == accepted && now.State != stateRevoked && !e.excused(k):
			c.add("%s task %s was revoked, and is %s", k.Variant, k.ID, now)
		case now.State == stateRevoked && k.Variant == "revoke" && k.Revoked == "":
			c.add("%s task %s was not revoked, and is %s", k.Variant, k.ID, now)
		case k.Variant == "failing" && now.State == stateFailure && now.Retries != failingRetries:
			c.add("%s task %s has %d retries: %s", k.Variant, k.ID, failingRetries, now)
		}
	}
	return c
}

// excused is whether the task may have gone with Redis's data.
func (e *evidence) excused(k call) bool { return !k.Durable && k.At.Before(e.lastWipe()) }

// parentEndedOtherwise is whether the parent's end makes no such task, or is not known.
func (e *evidence) parentEndedOtherwise(k call) bool {
	parent, found := e.Tasks[k.Parent]
	return !found || parent.State == "LOST" || parent.State == stateRevoked
}

func checkToldCalls(b *book, e *evidence) []string {
	var c complaints
	for _, k := range b.calls {
		now, found := e.Tasks[k.ID]
		for _, told := range k.Told {
			if !final(told.State) || e.excused(k) {
				continue
			}
			if !found || now.State != told.State || compact(now.Result) != told.Result {
				c.add("%s task %s: told at %s that it is %s, result %s; it is %s", k.Variant, k.ID,
					told.At.UTC().Format(clock), told.State, told.Result, now)
			}
		}
	}
	return c
}

func checkETA(b *book, e *evidence) []string {
	var c complaints
	for _, k := range b.calls {
		now := e.Tasks[k.ID]
		if now.ETA == nil || len(now.Attempts) == 0 {
			continue
		}
		begun := now.Attempts[0].StartedAt
		if !begun.IsZero() && begun.Before(now.ETA.Truncate(time.Millisecond)) {
			c.add("%s task %s, due at %s, began at %s", k.Variant, k.ID, now.ETA.UTC().Format(clock), begun.UTC().Format(clock))
		}
	}
	return c
}

// checkRecords compares the history with Redis.
func checkRecords(b *book, e *evidence) []string {
	var c complaints
	for _, k := range b.calls {
		now, found := e.Tasks[k.ID]
		record, recorded := e.Records[k.ID]
		if found && recorded && record != now.State {
			c.add("%s task %s is %s in the history: %s", k.Variant, k.ID, record, now)
		}
	}
	return c
}

// checkTicks expects each tick once. Of the schedules that make up for all that were missed it expects each one between the
// beginning and the end of the faults; of the one that is not durable, from the last loss of Redis's data on.
func checkTicks(_ *book, e *evidence) []string {
	var c complaints
	type tick struct {
		name string
		at   int64
	}
	ids := make(map[tick][]string)
	know := func(id string) {
		name, at := parseTick(id)
		if name == "" {
			return
		}
		if t := (tick{name, at}); !slices.Contains(ids[t], id) {
			ids[t] = append(ids[t], id)
		}
	}
	for _, id := range slices.Concat(e.Ticks, e.Ran) {
		know(id)
	}
	for id, state := range e.Records {
		name, at := parseTick(id)
		if name != tickDurable {
			continue
		}
		know(id)
		if state != stateSuccess && at <= e.Healed.Unix() && !slices.Contains(e.Ran, id) {
			c.add("the durable tick %s is %s", id, state)
		}
	}
	for t, twice := range ids {
		if len(twice) > 1 {
			c.add("the tick of %s at %s is there %d times: %s", t.name, time.Unix(t.at, 0).UTC().Format(clock), len(twice), join(twice))
		}
	}
	from := e.Begun
	if wiped := e.lastWipe(); !wiped.IsZero() {
		from = wiped
	}
	for at := from.Unix() + 1; at <= e.Healed.Unix(); at++ {
		if len(ids[tick{tickAll, at}]) == 0 {
			c.add("the tick of %s at %s is missing", tickAll, time.Unix(at, 0).UTC().Format(clock))
		}
	}
	for at := e.Begun.Unix() + durableEvery; at <= e.Healed.Unix(); at++ {
		if at%durableEvery == 0 && len(ids[tick{tickDurable, at}]) == 0 {
			c.add("the tick of %s at %s is missing", tickDurable, time.Unix(at, 0).UTC().Format(clock))
		}
	}
	return c
}
