package boot

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/tasks"
)

// TestOneRuleForRoutes holds the configuration to the rules of package tasks.
func TestOneRuleForRoutes(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "sms.*=fast", " sms.* = fast , *=low", "=low", "a=", "a", "[=x", "a=b=c", "a=队列", "[a-c]?=x_1", "\\*=x", "a=-x",
	} {
		var cfg config.Config
		err := cfg.Routes.UnmarshalText([]byte(text))
		want, wantErr := tasks.ParseRoutes(text)
		require.Equal(t, wantErr == nil, err == nil, "%q: %v", text, err)
		if err == nil {
			require.Equal(t, want.String(), routes(cfg).String())
			require.Len(t, routes(cfg), len(want))
		}
	}
}
