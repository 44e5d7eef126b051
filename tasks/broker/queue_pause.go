package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// Pause keeps workers from taking tasks of the queue, until Resume; those that run go on. It sets asynq's mark. One that is
// paused stays as it is: then first is false, and the pause the earlier one.
func (b *Broker) Pause(ctx context.Context, queue, by string) (pause Pause, first bool, err error) {
	reply, err := pauseScript.Run(ctx, b.rdb, []string{format.PausedKey(queue), format.PausedByKey(queue)}, by).Slice()
	if err == nil && len(reply) != 4 {
		err = fmt.Errorf("%w: %v", errPauseReply, reply)
	}
	if err != nil {
		return Pause{}, false, fmt.Errorf("pause queue %s: %w", queue, err)
	}
	text := func(i int) string { s, _ := reply[i].(string); return s }
	return *newPause(text(1), text(2), text(3)), reply[0] == int64(1), nil
}

var errPauseReply = errors.New("unexpected reply of the pause script")

// Resume has workers take tasks of the queue again. It tells whether the queue was paused.
func (b *Broker) Resume(ctx context.Context, queue string) (paused bool, err error) {
	keys := []string{format.PausedKey(queue), format.PausedByKey(queue), format.WakeKey(queue)}
	paused, err = resumeScript.Run(ctx, b.rdb, keys, b.WakeUps()).Bool()
	if err != nil {
		return false, fmt.Errorf("resume queue %s: %w", queue, err)
	}
	return paused, nil
}

// IsPaused tells whether the queue is paused.
func (b *Broker) IsPaused(ctx context.Context, queue string) (bool, error) {
	n, err := b.rdb.Exists(ctx, format.PausedKey(queue)).Result()
	if err != nil {
		return false, fmt.Errorf("ask whether queue %s is paused: %w", queue, err)
	}
	return n > 0, nil
}

var (
	pauseScript  = format.Script("queue_pause.lua")
	resumeScript = format.Script("queue_resume.lua")
)
