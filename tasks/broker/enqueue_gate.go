package broker

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// Gate is a condition for a message, which Redis judges in the moment of enqueueing. It may be asked again when the answer
// is lost, so it must let the same message in again, or say that it is in.
type Gate struct {
	Script *GateScript
	Keys   []string
	Args   []any
}

// GateScript is what a gate does. Make it once a program, with LoadGate. The script that enqueues includes it as the program
// starts: so gate and enqueue are one script for Redis, and one round trip, and neither sees the other's variables.
type GateScript struct{ enqueue, ask *redisx.Script }

// LoadGate is the gate in a file of the folder, which is embedded in the program. The file defines, without local,
//
//	function gate(ARGV)
//
// which returns whether to enqueue, and a reply. What stands before the function reads what the gate goes by, with KEYS. It
// runs once for all messages that are judged together, which have the same script and Keys; its local variables are the
// function's to use and to change. The file may include others of its folder. It panics as redisx.LoadScript does.
func LoadGate(folder fs.FS, file string) *GateScript {
	return &GateScript{
		enqueue: format.ScriptWithGate("enqueue_gated.lua", folder, file),
		ask:     format.ScriptWithGate("gate_ask.lua", folder, file),
	}
}

// Ask has Redis judge the gate alone.
func (g Gate) Ask(ctx context.Context, rdb redis.Scripter) (open bool, reply any, err error) {
	answer, err := g.Script.ask.Run(ctx, rdb, g.Keys, g.Args...).Slice()
	if err != nil {
		return false, nil, err
	}
	if len(answer) != 2 {
		return false, nil, fmt.Errorf("%w: %v", errReply, answer)
	}
	return answer[0] == int64(1), answer[1], nil
}
