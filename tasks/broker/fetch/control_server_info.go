package fetch

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// The fields of asynq v0.26's ServerInfo, a protocol buffer, that commands change.
const (
	fieldServerConcurrency = 4
	fieldServerQueues      = 5
)

// correctServerInfo has asynq's record of its server, which asynq's own tools show, name the slots and queues of now.
func (f *Fetcher) correctServerInfo(info []byte) []byte {
	var out []byte
	for rest := info; len(rest) > 0; {
		field, kind, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return info
		}
		m := protowire.ConsumeFieldValue(field, kind, rest[n:])
		if m < 0 {
			return info
		}
		if field != fieldServerConcurrency && field != fieldServerQueues {
			out = append(out, rest[:n+m]...)
		}
		rest = rest[n+m:]
	}
	out = protowire.AppendTag(out, fieldServerConcurrency, protowire.VarintType)
	out = protowire.AppendVarint(out, uint64(f.Slots()))
	now := f.served.Load()
	for _, q := range now.queues {
		var pair []byte
		pair = protowire.AppendTag(pair, 1, protowire.BytesType)
		pair = protowire.AppendString(pair, q)
		pair = protowire.AppendTag(pair, 2, protowire.VarintType)
		pair = protowire.AppendVarint(pair, uint64(now.weights[q]))
		out = protowire.AppendTag(out, fieldServerQueues, protowire.BytesType)
		out = protowire.AppendBytes(out, pair)
	}
	return out
}
