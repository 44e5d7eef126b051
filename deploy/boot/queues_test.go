package boot

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/tasks"
)

// TestOneRuleForQueueNames holds the configuration to the rule of package tasks, character by character.
func TestOneRuleForQueueNames(t *testing.T) {
	t.Parallel()
	names := []string{strings.Repeat("q", 64), strings.Repeat("q", 65), "sms", "SMS", "a_b-c", "队列", "é"}
	for r := rune(0); r < 256; r++ {
		if strings.ContainsRune(",: \t\n\v\f\r\u0085\u00a0", r) {
			continue // they separate names in the setting
		}
		names = append(names, string(r), "q"+string(r), "q"+string(r)+"q")
	}
	for _, name := range names {
		var queues config.Queues
		err := queues.UnmarshalText([]byte(name))
		require.Equal(t, tasks.ValidQueue(name), err == nil, "%q: %v", name, err)
		var lengths config.Lengths
		err = lengths.UnmarshalText([]byte(name + ":1"))
		require.Equal(t, tasks.ValidQueue(name), err == nil, "%q: %v", name, err)
	}
}
