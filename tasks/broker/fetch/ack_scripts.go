package fetch

import (
	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

var (
	finishScript  = format.Script("fetch/ack_finish.lua")
	retryScript   = format.Script("fetch/ack_retry.lua")
	archiveScript = format.Script("fetch/ack_archive.lua")
	requeueScript = format.Script("fetch/ack_requeue.lua")
)

// finishCall joins ends of tasks that have succeeded, of one queue and day.
func finishCall(group []*acknowledgement) *redisx.Call {
	c := &redisx.Call{
		Script: finishScript,
		Keys:   make([]string, 0, 5+2*len(group)),
		Args:   make([]any, 0, 2+7*len(group)),
	}
	first := group[0].end
	queue := format.KeyQueue(first.task())
	expires := first.args[1]
	c.Keys = append(c.Keys, format.ActiveKey(queue), format.LeaseKey(queue), format.CompletedKey(queue), first.day(), format.ProcessedKey(queue))
	c.Args = append(c.Args, expires, format.OwnPrefix(queue))
	for _, a := range group {
		id := a.end.args[0]
		var keepUntil, message any = "", ""
		if a.end.kind == endComplete {
			keepUntil, message = a.end.args[2], a.end.args[3]
		}
		c.Keys = append(c.Keys, a.end.task())
		unique := a.end.unique()
		if unique != "" {
			c.Keys = append(c.Keys, unique)
		}
		c.Args = append(c.Args, id, a.token, format.Flag(unique != ""), keepUntil, message, a.result, a.record)
	}
	return c
}

// call is the script call for any other end. Its KEYS and ARGV are asynq's, and then ours.
func (a *acknowledgement) call() *redisx.Call {
	c := &redisx.Call{Keys: a.end.keys}
	c.Args = append(append(make([]any, 0, len(a.end.args)+4), a.end.args...), a.token, a.result, a.record)
	queue := format.KeyQueue(a.end.task())
	switch a.end.kind {
	case endRetry:
		c.Script = retryScript
	case endArchive:
		c.Script = archiveScript
		c.Args = append(c.Args, format.OwnPrefix(queue))
	case endRequeue:
		c.Script = requeueScript
		c.Keys = []string{
			a.end.task(), format.ActiveKey(queue), format.LeaseKey(queue), format.PendingKey(queue), format.HighKey(queue), format.LowKey(queue),
		}
	}
	return c
}
